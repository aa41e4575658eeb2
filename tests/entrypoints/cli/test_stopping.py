"""Signals: a process leaves in its own time, but it does leave, whatever holds it up."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from flowforge.entrypoints.cli.codes import ExitCode

PROGRAM = """
import asyncio, sys, threading
from flowforge.entrypoints.cli.carrying import stopping

async def main():
    stop = asyncio.Event()
    with stopping(stop.set, within_s=float(sys.argv[2])):
        print("up", flush=True)
        if sys.argv[1] == "loop":
            threading.Event().wait()
        await stop.wait()
        if sys.argv[1] == "leaving":
            await asyncio.Event().wait()
    print("left", flush=True)

asyncio.run(main())
"""


class Process:
    def __init__(self, held_up: str, within_s: float) -> None:
        command = [sys.executable, "-c", PROGRAM, held_up, str(within_s)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        assert self._child.stdout.readline() == "up\n"

    def tell(self) -> None:
        self._child.send_signal(signal.SIGTERM)

    def end(self) -> tuple[int, str]:
        """Exit code, and what it said last."""
        said, _ = self._child.communicate(timeout=20)
        return self._child.returncode, said

    def kill(self) -> None:
        self._child.kill()
        self._child.communicate()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    opened: list[Process] = []
    yield opened
    for process in opened:
        process.kill()


def test_process_leaves_in_order(processes: list[Process]):
    process = Process("nothing", 20)
    processes.append(process)
    process.tell()
    assert process.end() == (0, "left\n")


@pytest.mark.parametrize("held_up", ["loop", "leaving"])
def test_process_that_hangs_is_ended_when_its_time_is_over(processes: list[Process], held_up: str):
    process = Process(held_up, 0.5)
    processes.append(process)
    process.tell()
    assert process.end() == (ExitCode.UNREACHABLE, "")


@pytest.mark.parametrize("held_up", ["loop", "leaving"])
def test_second_signal_ends_the_process_at_once(processes: list[Process], held_up: str):
    process = Process(held_up, 60)
    processes.append(process)
    process.tell()
    time.sleep(0.5)  # two of the same number that come at once are one
    process.tell()
    assert process.end() == (-signal.SIGTERM, "")
