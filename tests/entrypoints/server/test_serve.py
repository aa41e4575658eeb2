"""`flowforge serve`: what it refuses; and the runner of a cluster on each database server."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.databases import Kind
from tests.support.sessions import lend_database

from flowforge.engine.births import StartRequest
from flowforge.engine.executor import Engine
from flowforge.engine.store import Delivery, NewMail, Verdict, WorkerFacts
from flowforge.entrypoints.ports import VersionsPort
from flowforge.entrypoints.running import open_engine
from flowforge.entrypoints.server.clustered import ClusterRunner
from flowforge.entrypoints.server.production import SettingsMissingError, require_production
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.border import encode, encode_canonical
from flowforge.kit.bus import MemoryBus
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.language.compiler import compile_document
from flowforge.runs.events import derive_events
from flowforge.runs.history import decode_turn

NAMES = ("PUBLIC_URL", "DATABASE_URL", "ENCRYPTION_KEY", "SIGNING_KEY")
KEY = "0123456789abcdef" * 4
DOCUMENT: dict[str, Any] = {
    "flowforge": 1,
    "name": "patient",
    "steps": [{"id": "hold", "uses": "flow.wait", "with": {"signal": "go"}}],
}


def test_a24_serve_refuses_an_empty_environment_and_names_each_setting(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOWFORGE_")}
    command = [Path(sys.executable).parent / "flowforge", "--data", tmp_path / "data", "serve", "--port", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=25, check=False)
    assert done.returncode == 2
    for name in NAMES:
        assert f"FLOWFORGE_{name}" in done.stderr


def test_a24_each_setting_alone_is_missed(tmp_path: Path):
    given = {
        "public_url": "https://flowforge.example",
        "database_url": "postgresql://a@b/c",
        "encryption_key": KEY,
        "signing_key": KEY,
    }
    require_production(Settings.model_validate({"data": tmp_path, **given}))
    for name in given:
        with pytest.raises(SettingsMissingError) as refused:
            require_production(Settings.model_validate({"data": tmp_path, **given, name: None}))
        assert [detail.field for detail in refused.value.details] == [f"FLOWFORGE_{name.upper()}"]


def write_url(url: DatabaseUrl) -> str:
    scheme = "postgresql" if url.kind is DatabaseKind.POSTGRES else "mariadb"
    return f"{scheme}://{quote(url.user)}:{quote(url.password)}@{url.host}:{url.port}/{url.name}"


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
async def installation(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Installation]:
    kind: Kind = request.param
    with lend_database(kind, tmp_path) as url:
        settings: dict[str, Any] = {"data": tmp_path / "data", "poll_ms": 50}
        if url.is_server:
            settings["database_url"] = write_url(url)
        opened = open_installation(Settings.model_validate(settings))
        try:
            yield opened
        finally:
            await opened.aclose()


@pytest.fixture
async def runner(installation: Installation) -> AsyncGenerator[ClusterRunner]:
    opened = ClusterRunner(installation, VersionsPort(installation), MemoryBus(), WorkerFacts(role="server"), "one")
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def make_request(installation: Installation, runner: ClusterRunner, dedup: str | None = None) -> StartRequest:
    workflow = compile_document(DOCUMENT, installation.registry, installation.settings.limits).workflow
    assert workflow is not None
    await runner.define(workflow.digest, encode_canonical(workflow.document))
    pinned = {"id": "wf_1", "name": "patient", "version": 1, "digest": workflow.digest}
    return StartRequest(DEFAULT_WORKSPACE_ID, pinned, {}, "user:a", {"kind": "manual"}, dedup=dedup)  # type: ignore[arg-type]


async def carry(installation: Installation, stop: asyncio.Event) -> None:
    async with open_engine(installation, name="worker", takes_all=True, grace_ms=100, masker=Masker()) as engine:
        assert isinstance(engine, Engine)
        await stop.wait()


async def test_runs_are_started_signalled_and_waited_for_through_the_database(installation: Installation, runner: ClusterRunner):
    request = await make_request(installation, runner)
    stop = asyncio.Event()
    started = await asyncio.gather(*(runner.start(request) for _ in range(5)))
    assert len({run.run_no for run in started}) == 5
    working = asyncio.create_task(carry(installation, stop))
    for run in started:
        await asyncio.wait_for(runner.wait(run.run_no, 20), 20)
        mail = NewMail(run.run_no, "signal", encode({"name": "go", "payload": None}), "user:a")
        assert await runner.deliver(mail) is Delivery.DELIVERED
    for run in started:
        await asyncio.wait_for(runner.wait(run.run_no, 20), 20)
        rows = await runner.load(run.run_no)
        events = derive_events(decode_turn(row.seq, row.at, row.body) for row in rows)
        assert events[-1].type == "run.finished"
    stop.set()
    await working


async def test_one_name_gives_one_run_also_in_one_commit(installation: Installation, runner: ClusterRunner):
    request = await make_request(installation, runner, dedup="start:POST /runs:k")
    started = await asyncio.gather(*(runner.start(request) for _ in range(10)))
    assert len({run.run_id for run in started}) == 1
    assert sorted(run.verdict is Verdict.DUPLICATE for run in started) == [False] + [True] * 9
    other = await runner.start(replace(request, dedup="start:POST /runs:l"))
    assert other.run_id != started[0].run_id
