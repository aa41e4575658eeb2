"""The server dies between every pair of statements of a start, a webhook and a signal: what was answered is there, a retry makes one."""

import asyncio
import gc
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import httpx2
import psycopg
import pytest
from tests.support.dying_cluster import open_clustered
from tests.support.dying_server import Answer, Opener, Place, Request, ask, open_embedded, open_life, still_servers
from tests.support.server_lab import PERMISSIONS, ServerLab, open_server_lab, sign_in
from tests.support.sessions import lend_database
from tests.triggers.hook_lab import SECRET, sign

from flowforge.engine.executor import Engine
from flowforge.entrypoints.server.listening import open_listener
from flowforge.kit.database.url import DatabaseUrl
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.vault.service import set_secret

ANSWERED: Final[Place] = ("after http.response.body", 1)
STEP: Final = 1 if os.environ.get("CHAOS") else 3
"""In a cluster every so many places are tried; `make chaos` tries them all. On one machine all are tried each time."""
PATIENT: Final[dict[str, Any]] = {
    "flowforge": 1,
    "name": "patient",
    "triggers": [{"id": "shop", "uses": "webhook", "with": {"path": "orders", "auth": {"hmac": "${{ secrets.SHOP }}"}}}],
    "steps": [
        {"id": "hold", "uses": "flow.wait", "with": {"signal": "go"}},
        {"id": "hold_on", "uses": "flow.wait", "with": {"signal": "go"}},
    ],
}
"""A signal that comes twice would end it."""
SETTLED: Final = """SELECT NOT EXISTS (SELECT 1 FROM runs WHERE owner IS NOT NULL OR status<>'waiting')
 AND NOT EXISTS (SELECT 1 FROM inbox WHERE unread=1)"""


@dataclass(frozen=True)
class Client:
    """Who asks: with what right, of which run, by which key."""

    bearer: dict[str, str]
    run_id: str
    key: str = "the-one"


@dataclass(frozen=True)
class Deed:
    """Something that is asked for. `stored`: selects the runs that have it, as often as they have it; `done`: when they have come to rest."""

    request: Callable[[Client], Request]
    stored: str
    done: str
    run_of: Callable[[Answer], str]
    is_repeat: Callable[[Answer], bool]


def ask_start(client: Client) -> Request:
    return Request("/api/v1/runs", b'{"workflow": "patient"}', {**client.bearer, "idempotency-key": client.key})


def ask_hook(client: Client) -> Request:
    return Request("/hooks/orders", b'{"order": 7}', {**sign(b'{"order": 7}'), "webhook-id": client.key})


def ask_signal(client: Client) -> Request:
    path = f"/api/v1/runs/{client.run_id}/signals"
    return Request(path, b'{"name": "go"}', {**client.bearer, "idempotency-key": client.key})


def is_replayed(answer: Answer) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


STARTED: Final = "SELECT r.id FROM runs r JOIN journal j ON j.run_no=r.no AND j.seq=1 WHERE r.dedup LIKE '%:{key}'"
RUNS: Final = "SELECT id FROM runs WHERE dedup IS NOT NULL"
SENT: Final = "SELECT r.id FROM inbox i JOIN runs r ON r.no=i.run_no WHERE r.id='{run_id}'"
TOLD: Final = """SELECT r.id FROM runs r JOIN journal j ON j.run_no=r.no, json_each(j.body) e
 WHERE e.value->>'type'='run.mail' AND e.value->>'kind'='signal'"""
DEEDS: Final = {
    "start": Deed(ask_start, STARTED, RUNS, lambda answer: answer.body["id"], is_replayed),
    "webhook": Deed(ask_hook, STARTED, RUNS, lambda answer: answer.body["run_id"], lambda answer: answer.body["duplicate"]),
    "signal": Deed(ask_signal, SENT, TOLD, lambda answer: answer.body["run_id"], is_replayed),
}


def count_places(open_server: Opener, startup: int, deed: Deed, client: Client) -> list[Place]:
    """In a life without a death, until the answer is out. What the engine does then with the run is killed in tests/engine."""
    with open_life(open_server, startup=startup) as life:
        answer = ask(life.port, deed.request(client))
        assert answer is not None
        assert answer.status == 202, answer.body
        assert not deed.is_repeat(answer)
        places = life.list_places()
    names = [what for what, _ in places]
    assert len([name for name in names if name.startswith("SQL ")]) > 10, names
    assert any(name.startswith("SQL COMMIT after ") for name in names), names
    return places[: places.index(ANSWERED) + 1]


def die(open_server: Opener, startup: int, place: Place, request: Request) -> Answer | None:
    """Asks a server that dies there; its answer, if it came."""
    with open_life(open_server, place, startup) as life:
        answer = ask(life.port, request)
        assert life.dies(), (place, life.code)
    return answer


def check_first(deed: Deed, place: Place, answer: Answer | None, there: list[str]) -> None:
    """After the death: what was answered is there."""
    assert len(there) <= 1, (place, there)
    if answer is not None:
        assert answer.status == 202, (place, answer)
        assert there == [deed.run_of(answer)], place


def check_again(deed: Deed, place: Place, answer: Answer | None, there: list[str]) -> str:
    """The retry finds what was there, or makes it; the run."""
    assert answer is not None, place
    assert answer.status == 202, (place, answer)
    assert deed.is_repeat(answer) == bool(there), (place, answer)
    assert there in ([], [deed.run_of(answer)]), (place, answer)
    return deed.run_of(answer)


async def fill(lab: ServerLab) -> Client:
    """The workflow with its webhook, and a run of it."""
    installation = lab.installation
    at_ms = installation.clock.now_ms()
    async with installation.database.write.begin() as session:
        await set_secret(session, installation.keyring, DEFAULT_WORKSPACE_ID, "SHOP", value=SECRET, at_ms=at_ms)
    await lab.publish(PATIENT)
    return Client(lab.bearer, (await lab.start({"workflow": "patient"}, "?wait=1s")).json()["id"])


# --- the embedded server ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Template:
    """A data folder to begin with. `startup`: the places that a server on it comes by before it is asked for anything."""

    folder: Path
    client: Client
    startup: int


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Made in this very process: what a server reads and compiles once, each forked one has then."""
    folder = tmp_path_factory.mktemp("template")

    async def make() -> Client:
        async with open_server_lab(folder) as lab:
            return await fill(lab)

    with still_servers():
        client = asyncio.run(make())
        with closing(sqlite3.connect(folder / "flowforge.db")) as connection:
            connection.execute("VACUUM")
        gc.freeze()  # a forked process then copies fewer of our pages
        with open_life(partial(open_embedded, shutil.copytree(folder, folder.with_name("startup")))) as life:
            startup = life.startup
        yield Template(folder, client, startup)
        gc.unfreeze()


def read(folder: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{folder / 'flowforge.db'}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute(statement)]


def digest(folder: Path) -> str:
    """Of everything that a new process finds, but for who was there before it."""
    found = hashlib.sha256()
    with closing(sqlite3.connect(f"file:{folder / 'flowforge.db'}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table' AND name<>'workers' ORDER BY name"):
            found.update(repr((table, connection.execute(f"SELECT * FROM {table}").fetchall())).encode())
    return found.hexdigest()


async def ask_again(folder: Path, request: Request) -> Answer | None:
    """A server that knows of the first one what is in the folder. Returns when the run rests."""
    listener = open_listener("127.0.0.1", 0)
    async with open_embedded(folder, listener, None), asyncio.timeout(10):
        answer = await asyncio.to_thread(ask, listener.getsockname()[1], request)
        while not read(folder, SETTLED)[0]:
            await asyncio.sleep(0.005)
    return answer


@pytest.mark.first
@pytest.mark.slow(240)
@pytest.mark.parametrize("name", DEEDS)
def test_what_was_answered_is_there_and_a_retry_makes_one(tmp_path: Path, template: Template, name: str):
    deed, client, startup = DEEDS[name], template.client, template.startup
    request, stored = deed.request(client), deed.stored.format(key=client.key, run_id=client.run_id)
    calm = shutil.copytree(template.folder, tmp_path / "calm")
    recovered: set[str] = set()
    for place in count_places(partial(open_embedded, calm), startup, deed, client):
        folder = shutil.copytree(template.folder, tmp_path / "case")
        first = die(partial(open_embedded, folder), startup, place, request)
        there = read(folder, stored)
        check_first(deed, place, first, there)
        # From one and the same state a new process does one and the same.
        if (state := digest(folder)) not in recovered:
            run_id = check_again(deed, place, asyncio.run(ask_again(folder, request)), there)
            assert read(folder, stored) == read(folder, deed.done) == [run_id], place
            recovered.add(state)
        shutil.rmtree(folder)
    assert len(recovered) > 1


# --- a server of a cluster -------------------------------------------------------------------------------------------------------


@dataclass
class Cluster:
    """A database and its folder; others than the server that dies are opened for what they are asked for."""

    folder: Path
    url: DatabaseUrl
    client: Client
    startup: int = 0

    @property
    def opener(self) -> Opener:
        return partial(open_clustered, self.folder, self.url)

    def read(self, statement: str) -> list[str]:
        """When the database has done all that the dead one had asked for."""
        with psycopg.connect(host=self.url.host, port=self.url.port, user=self.url.user, dbname=self.url.name) as connection:
            others = "SELECT count(*) FROM pg_stat_activity WHERE datname=current_database() AND pid<>pg_backend_pid()"
            connection.autocommit = True
            while connection.execute(others).fetchone() != (0,):
                pass
            return [row[0] for row in connection.execute(statement.encode())]

    async def ask_all(self, requests: list[Request]) -> list[Answer | None]:
        """Another server of the cluster."""
        listener = open_listener("127.0.0.1", 0)
        async with open_clustered(self.folder, self.url, listener, None):
            return [await asyncio.to_thread(ask, listener.getsockname()[1], request) for request in requests]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with lend_database("postgres", folder) as url, still_servers():
        cluster = Cluster(folder, url, asyncio.run(fill_cluster(folder, url)))
        gc.freeze()
        with open_life(cluster.opener) as life:
            cluster.startup = life.startup
        yield cluster
        gc.unfreeze()


async def fill_cluster(folder: Path, url: DatabaseUrl) -> Client:
    async with (
        open_clustered(folder, url, open_listener("127.0.0.1", 0), None) as (installation, server),
        httpx2.AsyncClient(base_url=f"http://{server.address}") as client,
    ):
        lab = ServerLab(installation, cast("Engine", None), server, client, "")
        await sign_in(lab)
        lab.key = await lab.make_key(*PERMISSIONS)
        return await fill(lab)


@pytest.mark.first
@pytest.mark.slow(240)
@pytest.mark.parametrize("name", DEEDS)
def test_a_server_of_a_cluster_dies_and_another_one_is_asked_again(cluster: Cluster, name: str):
    deed = DEEDS[name]
    places = count_places(cluster.opener, cluster.startup, deed, replace(cluster.client, key=f"calm-{name}"))
    places = [*places[:-1:STEP], places[-1]]
    clients = [replace(cluster.client, key=f"{name}-{number}") for number, _ in enumerate(places)]
    if name == "signal":
        made = asyncio.run(cluster.ask_all([ask_start(replace(client, key=f"for-{client.key}")) for client in clients]))
        clients = [replace(client, run_id=one.body["id"]) for client, one in zip(clients, made, strict=True) if one is not None]
    statements = [deed.stored.format(key=client.key, run_id=client.run_id) for client in clients]
    found: list[list[str]] = []
    for place, client, statement in zip(places, clients, statements, strict=True):
        first = die(cluster.opener, cluster.startup, place, deed.request(client))
        found.append(cluster.read(statement))
        check_first(deed, place, first, found[-1])
    answers = asyncio.run(cluster.ask_all([deed.request(client) for client in clients]))
    for place, answer, there, statement in zip(places, answers, found, statements, strict=True):
        assert cluster.read(statement) == [check_again(deed, place, answer, there)], place
    assert found[0] == []
    assert found[-1] != []
