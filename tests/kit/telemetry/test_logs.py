import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from flowforge.kit.masking import Masker
from flowforge.kit.telemetry import LogPipe, bind_log_fields, get_logger, start_logging
from flowforge.kit.telemetry.logs import QUEUE_LINES
from flowforge.kit.telemetry.outputs import FileOutput
from flowforge.kit.telemetry.rendering import render_json

LOG_A_LOT = """
from flowforge.kit.masking import Masker
from flowforge.kit.telemetry import get_logger, start_logging
from flowforge.kit.telemetry.outputs import StreamOutput
with start_logging(StreamOutput(2), level="info", masker=Masker(), is_console=False):
    for _ in range(2_000):
        get_logger("engine").info("x" * 1_000)
    print("worked", flush=True)
"""


class Collected:
    """An output that keeps what it is given."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None:
        pass

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.data.splitlines()]


class Gate(Collected):
    """An output whose reader stands still until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()

    def write(self, data: bytes) -> None:
        self.opened.wait(20)
        super().write(data)


@contextmanager
def logging_to(output: Collected, *, level: str = "info", masker: Masker | None = None) -> Generator[LogPipe]:
    with start_logging(output, level=level, masker=masker or Masker(), is_console=False) as pipe:
        yield pipe


def test_line_is_json_with_time_level_logger_message_and_fields():
    output = Collected()
    with logging_to(output):
        get_logger("engine").info("run finished", run_id="run_1", steps=3)
    (line,) = output.lines()
    assert line == {
        "time": line["time"],
        "level": "info",
        "logger": "flowforge.engine",
        "message": "run finished",
        "run_id": "run_1",
        "steps": 3,
    }
    assert str(line["time"]).endswith("Z")


def test_bound_ids_are_on_each_line_of_their_task_only():
    output = Collected()
    log = get_logger("engine")

    async def work(run_id: str) -> None:
        with bind_log_fields(run_id=run_id), bind_log_fields(step="fetch"):
            await asyncio.sleep(0)
            log.info("step")

    async def main() -> None:
        await asyncio.gather(work("run_1"), work("run_2"))
        log.info("done")

    with logging_to(output):
        asyncio.run(main())
    seen = [(line["message"], line.get("run_id"), line.get("step")) for line in output.lines()]
    assert seen == [("step", "run_1", "fetch"), ("step", "run_2", "fetch"), ("done", None, None)]


def test_lines_below_the_level_are_not_written():
    output = Collected()
    with logging_to(output, level="warning"):
        get_logger("engine").info("quiet")
        get_logger("engine").error("loud")
    assert [line["message"] for line in output.lines()] == ["loud"]


def test_other_packages_are_heard_from_warning_on():
    output = Collected()
    with logging_to(output, level="debug"):
        logging.getLogger("other").info("chatter")
        logging.getLogger("other").warning("beware of %s", "it")
    assert [line["message"] for line in output.lines()] == ["beware of it"]


def test_message_that_does_not_fit_its_arguments_is_written_as_it_is():
    record = logging.LogRecord("other", logging.WARNING, "", 0, "does not fit %d", ("text",), None)
    assert json.loads(render_json(record, {}))["message"] == "does not fit %d"


def test_exception_brings_its_trace():
    output = Collected()
    with logging_to(output):
        try:
            raise ValueError("broken")
        except ValueError:
            get_logger("engine").exception("worker failed")
    assert "ValueError: broken" in str(output.lines()[0]["exception"])


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1: 2}, object(), {"a", "b"}])
def test_field_that_is_no_json_does_not_fail_who_logs(value: object):
    output = Collected()
    with logging_to(output):
        get_logger("engine").info("odd", value=cast("str", value))
    assert output.lines()[0]["message"] in {"odd", "'odd'"}


def test_field_of_a_reserved_name_does_not_hide_the_lines_own():
    output = Collected()
    with logging_to(output):
        get_logger("engine").info("kept", level="forged", time=0)
    assert (output.lines()[0]["level"], output.lines()[0]["level_"]) == ("info", "forged")


def test_a19_secret_is_masked_in_message_fields_and_trace():
    output = Collected()
    masker = Masker()
    masker.add('can"ary-1234')
    with logging_to(output, masker=masker):
        try:
            raise ValueError('url?token=can"ary-1234')
        except ValueError:
            get_logger("engine").exception('said can"ary-1234', field=['can"ary-1234'], nested={"k": "x%22can%22ary-1234"})
    assert b"ary-1234" not in output.data
    assert b"***" in output.data


def test_f61_log_that_nobody_reads_drops_lines_and_holds_nobody_up():
    output = Gate()
    log = get_logger("engine")
    with logging_to(output) as pipe:
        for number in range(QUEUE_LINES + 500):
            log.info("line", number=number)
        assert pipe.dropped >= 400
        output.opened.set()
    lines = output.lines()
    assert len(lines) == QUEUE_LINES + 500 - pipe.dropped + 1
    assert [line["dropped"] for line in lines if "dropped" in line] == [pipe.dropped]


def test_f61_process_works_on_and_ends_when_nobody_reads_its_log():
    # Standard error is a pipe that nobody reads until the process has ended: 2 MB do not fit into it.
    with subprocess.Popen([sys.executable, "-c", LOG_A_LOT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"worked\n"
        assert process.wait(20) == 0


def test_output_that_fails_once_does_not_end_logging():
    class Flaky(Collected):
        failures = 1

        def write(self, data: bytes) -> None:
            if self.failures:
                self.failures -= 1
                raise OSError(28, "No space left on device")
            super().write(data)

    output = Flaky()
    with logging_to(output) as pipe:
        get_logger("engine").info("lost")
        get_logger("engine").info("kept")
    assert {line["message"] for line in output.lines()} == {"kept", "log lines were dropped"}
    assert pipe.dropped == 1


def render_console(log: Callable[[], None], *, has_colour: bool = False) -> str:
    output = Collected()
    with start_logging(output, level="info", masker=Masker(), is_console=True, has_colour=has_colour):
        log()
    return output.data.decode()


def test_console_line_is_text():
    text = render_console(lambda: get_logger("engine").info("run finished", run_id="run_1", note="two words", n=1))
    assert text[12:] == ' info    run finished  run_id=run_1 note="two words" n=1\n'


def test_console_line_is_coloured_for_a_terminal():
    assert "\x1b[31merror  \x1b[0m" in render_console(lambda: get_logger("engine").error("no"), has_colour=True)


def test_data_cannot_drive_the_terminal_or_forge_a_line():
    text = render_console(lambda: get_logger("engine").info("a\x1b[2Jb\nc", field="\r\x9b31m", more=["\x07"]))
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "\x07" not in text


def test_log_file_is_put_aside_when_it_is_full(tmp_path: Path):
    path = tmp_path / "flowforge.log"
    output = FileOutput(path, file_bytes=100, files_kept=2)
    for number in range(12):
        output.write(f"{number:<39}\n".encode())
    output.close()
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["flowforge.log", "flowforge.log.1", "flowforge.log.2"]
    kept = [(tmp_path / name).read_text().split() for name in ("flowforge.log.2", "flowforge.log.1", "flowforge.log")]
    assert kept == [["6", "7"], ["8", "9"], ["10", "11"]]
    assert path.stat().st_mode & 0o777 == 0o600


def test_log_file_goes_on_after_a_restart(tmp_path: Path):
    for number in range(2):
        output = FileOutput(tmp_path / "flowforge.log")
        output.write(f"{number}\n".encode())
        output.close()
    assert (tmp_path / "flowforge.log").read_text() == "0\n1\n"
