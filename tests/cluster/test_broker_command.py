"""`flowforge worker`, as an operator runs it: processes of their own, a server's database, a broker."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.databases import POSTGRES_PORT, open_database
from tests.support.own_servers import OwnRedis, find_free_port, wait_until
from tests.support.tcp_proxy import TcpProxy, open_tcp_proxy

from flowforge.entrypoints.cli.commands.worker import read_queues
from flowforge.entrypoints.cli.failures import UsageError

WORKFLOW = """\
flowforge: 1
name: rung
input: {type: object}
steps:
  - {id: note, uses: log.write, with: {message: done}}
"""
COMMAND = (sys.executable, "-m", "flowforge.entrypoints.cli.app")


@dataclass
class Site:
    """Settings that several processes share. Every process has a data folder of its own, as on machines of their own."""

    folder: Path
    given: dict[str, str]
    health_port: int

    def environment(self, name: str) -> dict[str, str]:
        own = {f"FLOWFORGE_{key}": value for key, value in self.given.items()}
        place = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        return {**place, "FLOWFORGE_DATA": str(self.folder / name), **own}

    def call(self, *arguments: str, exit_code: int = 0) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment("caller"), capture_output=True, text=True, timeout=25, check=False
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout if exit_code == 0 else done.stderr

    @contextmanager
    def worker(self, *arguments: str) -> Generator["subprocess.Popen[str]"]:
        environment = {**self.environment("worker"), "FLOWFORGE_HEALTH_PORT": str(self.health_port)}
        process = subprocess.Popen(
            [*COMMAND, "worker", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a health page; 0 where nobody answers."""
        try:
            answer = httpx2.get(f"http://127.0.0.1:{self.health_port}{path}", trust_env=False, timeout=5)
        except httpx2.HTTPError:
            return 0, {}
        return answer.status_code, answer.json()

    def until_status(self, path: str, status: int) -> None:
        wait_until(lambda: self.ask(path)[0] == status, f"{path} does not answer {status}, but {self.ask(path)}", 20, 0.05)

    def start(self, workflow: str = WORKFLOW) -> str:
        file = self.folder / "rung.yaml"
        file.write_text(workflow)
        return str(json.loads(self.call("run", str(file), "--detach"))["run_id"])

    def is_finished(self, run_id: str) -> bool:
        return '"completed"' in self.call("runs", "show", run_id)


@pytest.fixture(scope="module")
def redis() -> Generator[OwnRedis]:
    server = OwnRedis.make()
    yield server
    server.close()


def end_in_order(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """Sends SIGTERM; the log lines of the process, which ended well."""
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in errors.splitlines()]


async def with_postgres(folder: Path, redis: OwnRedis, use: Callable[[Site, TcpProxy], None], **given: str) -> None:
    """Calls `use` in a thread, with a migrated PostgreSQL behind a proxy."""
    async with open_database("postgres") as database:
        with open_tcp_proxy(database.port or POSTGRES_PORT) as proxy:
            place = f"127.0.0.1:{proxy.port}/{database.name}"
            settings = {"DATABASE_URL": f"postgresql+psycopg://postgres@{place}", "BROKER_URL": redis.url(), **given}
            site = Site(folder, settings, find_free_port())
            await asyncio.to_thread(site.call, "db", "upgrade")
            await asyncio.to_thread(use, site, proxy)


@pytest.mark.slow(90)  # eight processes, one after the other
async def test_f17_a_worker_waits_for_its_database_and_is_not_ready_before(tmp_path: Path, redis: OwnRedis) -> None:
    def use(site: Site, proxy: TcpProxy) -> None:
        run_id = site.start()
        proxy.cut()
        with site.worker() as process:
            site.until_status("/live", 200)
            asked = proxy.connections
            wait_until(lambda: proxy.connections >= asked + 2, "it does not ask again for its database")
            status, told = site.ask("/ready")
            assert (status, told["status"]) == (503, "unavailable")
            assert site.ask("/health")[1]["stage"] == "starting"
            proxy.heal()
            site.until_status("/ready", 200)
            wait_until(lambda: site.is_finished(run_id), "the run is not carried on", 20)
            # A ring from another process: the worker itself looks once a minute only.
            other = site.start()
            wait_until(lambda: site.is_finished(other), "the ring does not wake the worker", 20)
            checks = site.ask("/health")[1]["checks"]
            lines = end_in_order(process)
        assert {name: check["status"] for name, check in checks.items()} == dict.fromkeys(
            ("database", "clock", "objects", "engine", "broker"), "ok"
        )
        assert lines[0]["message"] == "Waiting for the database."
        up = next(line for line in lines if line["message"] == "The worker is up.")
        assert up["worker"] >= 1
        assert "postgres@" in up["database"]
        assert lines[-1]["role"] == "worker"

    await with_postgres(tmp_path, redis, use, POLL="60s")


@pytest.mark.slow(60)
def test_a_second_signal_ends_a_worker_at_once_and_its_run_goes_on_elsewhere(tmp_path: Path) -> None:
    settings = {"DATA": str(tmp_path / "shared"), "POLL": "50ms", "SHUTDOWN_GRACE": "1m", "EGRESS_ALLOW": "127.0.0.1"}
    site = Site(tmp_path, settings, find_free_port())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        call = f"uses: http.request, with: {{url: 'http://127.0.0.1:{server.getsockname()[1]}/'}}, on_interrupt: repeat"
        run_id = site.start(WORKFLOW.replace("uses: log.write, with: {message: done}", call))
        with site.worker("--queues", "default", "--name", "one", "--concurrency", "5") as process:
            first, _ = server.accept()
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: site.ask("/health")[1].get("stage") == "closing", "it does not begin to end")
            assert site.ask("/ready")[0] == 503
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)
            assert process.returncode == -signal.SIGTERM
        first.close()
        with site.worker("--queues", "default"):
            second, _ = server.accept()
            second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            wait_until(lambda: site.is_finished(run_id), "the run does not go on", 20)
            second.close()


def test_f34_a_start_does_not_wait_for_a_broker_that_is_down(tmp_path: Path) -> None:
    site = Site(tmp_path, {"BROKER_URL": f"redis://127.0.0.1:{find_free_port()}/0"}, 0)
    assert site.start().startswith("run_")


def test_a_broker_that_cannot_be_is_told_before_anything_is_started(tmp_path: Path) -> None:
    site = Site(tmp_path, {"BROKER_URL": "kafka://127.0.0.1"}, 0)
    file = tmp_path / "rung.yaml"
    file.write_text(WORKFLOW)
    told = json.loads(site.call("run", str(file), "--detach", exit_code=2).splitlines()[-1])["error"]["message"]
    assert "FLOWFORGE_BROKER_URL is no address of a broker" in told
    site.given.clear()
    assert site.call("runs", "list") == ""


@pytest.mark.parametrize(
    ("given", "arguments", "sentence"),
    [
        ({"BROKER_URL": "http://127.0.0.1"}, (), "FLOWFORGE_BROKER_URL is no address of a broker"),
        ({}, ("--queues", "Heavy!"), "is no name of a queue"),
        ({}, ("--queues", ","), "1 to 16 names"),
        ({"HOST": "no.such.host.invalid"}, (), "FLOWFORGE_HOST names"),
        ({"DATABASE_URL": "http://nowhere"}, (), "DATABASE_URL cannot be used"),
    ],
)
def test_bad_settings_are_told_in_a_sentence(
    tmp_path: Path, given: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    told = Site(tmp_path, given, 0).call("worker", *arguments, exit_code=2)
    error = json.loads(told.splitlines()[-1])["error"]
    assert sentence in error["message"]


def test_queues_are_read_once_each() -> None:
    assert read_queues(" default, heavy,heavy ,io-2") == ("default", "heavy", "io-2")
    with pytest.raises(UsageError):
        read_queues(",".join(f"q{number}" for number in range(17)))
