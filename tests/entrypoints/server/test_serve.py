"""`flowforge serve`: what it refuses; and the runner of a cluster on each database server."""

import asyncio
import json
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
from typer.testing import CliRunner

from flowforge.engine.births import StartRequest
from flowforge.engine.executor import Engine
from flowforge.engine.store import Delivery, NewMail, Verdict, WorkerFacts
from flowforge.entrypoints.cli.app import app
from flowforge.entrypoints.plain_links import list_plain_links
from flowforge.entrypoints.ports import VersionsPort
from flowforge.entrypoints.production import ProductionError, require_production
from flowforge.entrypoints.running import open_engine
from flowforge.entrypoints.server.clustered import ClusterRunner
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


GIVEN = {
    "public_url": "https://flowforge.acme.eu",
    "database_url": "postgresql://a:kD83hs@b/c",
    "encryption_key": "9f" + "0123456789abcdef" * 3 + "03c1d2e3f40596",
    "signing_key": "8e" + "0123456789abcdef" * 3 + "03c1d2e3f40596",
}


def make_settings(folder: Path, **given: Any) -> Settings:
    return Settings.model_validate({"data": folder, **GIVEN, **given})


def test_a24_each_setting_alone_is_missed(tmp_path: Path):
    require_production(make_settings(tmp_path))
    for name in GIVEN:
        with pytest.raises(ProductionError) as refused:
            require_production(make_settings(tmp_path, **{name: None}))
        assert [detail.field for detail in refused.value.details] == [f"FLOWFORGE_{name.upper()}"]


def test_examples_are_refused_all_at_once_and_nothing_of_them_is_shown(tmp_path: Path):
    examples = {
        "public_url": "https://flowforge.example.com",
        "database_url": "postgresql+psycopg://flowforge:password@db.internal:5432/flowforge",
        "encryption_key": KEY,
    }
    with pytest.raises(ProductionError) as refused:
        require_production(make_settings(tmp_path, **examples, signing_key=None))
    found = {(detail.field.removeprefix("FLOWFORGE_"), detail.code) for detail in refused.value.details}
    missing = {("SIGNING_KEY", "setting_missing")}
    assert found == missing | {(name.upper(), "setting_example") for name in examples}
    assert KEY not in repr(refused.value.details)


def test_a24_what_cannot_be_read_and_what_is_missing_are_told_together(tmp_path: Path):
    said = CliRunner().invoke(app, ["--data", str(tmp_path), "--json", "serve"], env={"FLOWFORGE_SIGNING_KEY": "short"})
    details = json.loads(said.stderr)["error"]["details"]
    assert said.exit_code == 2
    assert {(detail["field"].removeprefix("FLOWFORGE_"), detail["code"]) for detail in details} == {
        *((name, "setting_missing") for name in NAMES[:3]),
        ("SIGNING_KEY", "setting_invalid"),
    }


def test_up_is_for_production_where_others_can_reach_it(tmp_path: Path):
    said = CliRunner().invoke(app, ["--data", str(tmp_path), "--json", "up", "--host", "0.0.0.0"])
    names = [detail["field"] for detail in json.loads(said.stderr)["error"]["details"]]
    assert (said.exit_code, names) == (2, ["FLOWFORGE_PUBLIC_URL", "FLOWFORGE_ENCRYPTION_KEY", "FLOWFORGE_SIGNING_KEY"])
    told = ["--data", str(tmp_path), "--json", "up", "--host", "nowhere.invalid"]
    allowed = CliRunner().invoke(app, told, env={"FLOWFORGE_ENV": "development"})
    assert "FLOWFORGE_HOST" in allowed.stderr


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ({}, []),
        ({"database_url": "postgresql://a:b@db.acme.eu/c"}, ["db.acme.eu"]),
        ({"database_url": "postgresql://a:b@db.acme.eu/c?sslmode=verify-full"}, []),
        ({"database_url": "mysql://a:b@10.0.0.4/c?ssl_mode=DISABLED"}, ["10.0.0.4"]),
        ({"database_url": "mysql://a:b@127.0.0.1/c"}, []),
        ({"redis_url": "redis+sentinel://:pw@one:26379,[2001:db8::1]:26379/name"}, ["2001:db8::1"]),
        ({"redis_url": "rediss://cache.acme.eu/0", "broker_url": "amqp://a:b@mq.acme.eu//"}, ["mq.acme.eu"]),
        ({"broker_url": "redis://cache.acme.eu/0", "env": "development"}, []),
    ],
)
def test_what_goes_over_a_network_in_the_clear_is_known(tmp_path: Path, given: dict[str, Any], hosts: list[str]):
    assert [link.host for link in list_plain_links(make_settings(tmp_path, **given))] == hosts


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
