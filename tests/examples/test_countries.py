"""The example `countries`: a durable call for each of 249 countries, to a server that fails at random, with and without a kill."""

import asyncio
import csv
import json
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from tests.architecture.sources import REPOSITORY
from tests.support.installed import EXAMPLES, Shell, open_installed
from tests.support.servers import Answer, EffectServer, Received, Reply, json_reply, serve_http, serve_in_thread

from flowforge.kit.values import JsonObject, JsonValue

ALL = REPOSITORY.parent / "shared" / "data" / "country-codes.csv"
EXCERPT = EXAMPLES / "countries" / "countries.csv"
WORKFLOW = EXAMPLES / "countries" / "countries.yaml"
CONCURRENCY = 10


def read_table(table: Path) -> bytes:
    """The table as it is; skips where it is not at hand."""
    if not table.exists():
        pytest.skip("the table of all countries is not part of the repository")
    return table.read_bytes()


def read_rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expect_report(rows: list[dict[str, str]]) -> JsonValue:
    """The report, worked out without FlowForge."""
    regions = Counter(row["Region Name"] for row in rows)
    return {
        "regions": [{"Region Name": name, "countries": count} for name, count in sorted(regions.items())],
        "told": [row["ISO3166-1-Alpha-3"] for row in rows],
    }


def find_table() -> Path:
    """All countries where the data is at hand, else the excerpt that is shipped."""
    return ALL if ALL.exists() else EXCERPT


@dataclass
class Service:
    """Greets countries, and fails three times of ten. `reached` is set by the request of number `wanted`."""

    wanted: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    random: Random = field(default_factory=lambda: Random(249))
    calls: Counter[str] = field(default_factory=Counter[str])
    successes: Counter[str] = field(default_factory=Counter[str])

    def answer(self, request: Received) -> Answer:
        code = request.path.rpartition("/")[2]
        self.calls[code] += 1
        if self.calls.total() == self.wanted:
            self.reached.set()
        if self.random.random() < 0.3:
            return Reply(503, (("Retry-After", "0"),))
        self.successes[code] += 1
        return json_reply({"code": code})

    def serve(self, server: EffectServer, rows: list[dict[str, str]]) -> None:
        for row in rows:
            server.on(f"/countries/{row['ISO3166-1-Alpha-2']}", self.answer)


@pytest.mark.slow(90)
@pytest.mark.parametrize("table", [pytest.param(EXCERPT, id="the excerpt"), pytest.param(ALL, id="all countries")])
async def test_every_country_is_called_and_the_report_is_right(table: Path, tmp_path: Path):
    content = read_table(table)
    rows, service = read_rows(table), Service()
    async with serve_http() as server, open_installed(tmp_path, EGRESS_ALLOW=f"127.0.0.1:{server.port}") as place:
        service.serve(server, rows)
        (place.work / "countries.csv").write_bytes(content)
        ended = await place.finish(await place.start(WORKFLOW, {"service": server.url}), 60_000)
        report = json.loads((place.work / "report.json").read_text("utf-8"))
    assert ended.status == "completed", ended.error
    assert ended.output == {"countries": len(rows), "regions": len(report["regions"]), "report": "report.json"}
    assert report == expect_report(rows)
    assert service.successes == Counter(row["ISO3166-1-Alpha-2"] for row in rows)
    assert service.calls.total() > len(rows)
    planned = [event for event in ended.of("step.planned") if str(event["step"]).startswith("calls.")]
    assert len(planned) == service.calls.total()


@pytest.mark.slow(120)
def test_a_killed_run_goes_on_and_calls_no_country_more_often_than_planned(tmp_path: Path):
    rows = read_rows(find_table())
    service = Service(wanted=len(rows) // 2)
    with serve_in_thread() as server:
        service.serve(server, rows)
        shell = Shell(tmp_path, {"EGRESS_ALLOW": f"127.0.0.1:{server.port}"})
        work = tmp_path / "data" / "work"
        work.mkdir(parents=True, exist_ok=True)
        (work / "countries.csv").write_bytes(find_table().read_bytes())
        process = shell.begin("run", str(WORKFLOW), "--set", f"service={server.url}")
        wait_for_half(service, process, tmp_path)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        done_before = find_confirmed(shell, rows)
        calls_before = Counter({code: service.calls[code] for code in done_before})
        result = shell.call("runs", "continue")[-1]
    effects = list_calls(shell, rows)
    assert result["status"] == "completed"
    assert json.loads((work / "report.json").read_text("utf-8")) == expect_report(rows)
    assert 0 < len(done_before) < len(rows)
    # What was known to be done is not done again; what was in flight may be, under its first key.
    assert Counter({code: service.calls[code] for code in done_before}) == calls_before
    assert set(service.successes) == {row["ISO3166-1-Alpha-2"] for row in rows}
    assert sum(count - 1 for count in service.successes.values()) <= CONCURRENCY
    planned = Counter(code for code, _ in effects)
    assert all(service.calls[code] <= planned[code] for code in service.calls)
    keys = {key for _, key in effects}
    assert len(keys) == len(rows)
    assert set(server.deliveries) <= keys


def wait_for_half(service: Service, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until half of the calls have come in; a command that ends before that says why."""
    while not service.reached.wait(0.2):
        assert process.poll() is None, (folder / "stderr.txt").read_text("utf-8")


def list_calls(shell: Shell, rows: list[dict[str, str]], wanted: Callable[[JsonObject], bool] = bool) -> list[tuple[str, str]]:
    """Country and idempotency key of each call in the effects ledger."""
    run_id = str(shell.call("runs", "list")[0]["id"])
    calls = [effect for effect in shell.call("runs", "effects", run_id) if effect["step"] == "tell" and wanted(effect)]
    return [(rows[int(str(call["iteration"]).rpartition(".")[2])]["ISO3166-1-Alpha-2"], str(call["key"])) for call in calls]


def find_confirmed(shell: Shell, rows: list[dict[str, str]]) -> set[str]:
    return {code for code, _ in list_calls(shell, rows, lambda effect: effect["state"] == "confirmed")}


async def test_a_country_that_never_answers_fails_the_run_with_its_place(tmp_path: Path):
    text = WORKFLOW.read_text("utf-8").replace("attempts: 12", "attempts: 2").replace("initial: 100ms", "initial: 10ms")
    (tmp_path / "impatient.yaml").write_text(text, "utf-8")
    async with serve_http() as server, open_installed(tmp_path, EGRESS_ALLOW=f"127.0.0.1:{server.port}") as place:
        server.on("/countries/JP", Reply(503))
        (place.work / "countries.csv").write_bytes(EXCERPT.read_bytes())
        async with asyncio.timeout(20):
            ended = await place.run(tmp_path / "impatient.yaml", {"service": server.url})
        assert not (place.work / "report.json").exists()
    assert (ended.status, ended.error["code"], ended.error["step"]) == ("failed", "http_503", "calls")
    details = ended.error["details"]
    assert isinstance(details, dict)
    assert details["index"] == [row["ISO3166-1-Alpha-2"] for row in read_rows(EXCERPT)].index("JP")
