"""What an operator looks at: queues, workers, dead letters, why, doctor; on each database."""

import asyncio
import json
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import delete, insert, select, update
from tests.entrypoints.cli.conftest import HELLO, Cli, Said
from tests.support.databases import Kind
from tests.support.filled import (
    AT,
    ENDED,
    FAR,
    ODD_TEXT,
    OWNED,
    WAITING,
    WITH_JOBS,
    change_rows,
    fill,
    make_job,
    make_place,
    make_run,
    read_rows,
)
from tests.support.ground import prepare_ground

from flowforge.cluster.queues import JobLine, find_open_family
from flowforge.engine.tables import jobs, journal, leases, outbox, queue, refused_messages, runs, slots, workers
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.session import open_sessions
from flowforge.kit.database.url import DatabaseUrl
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.explaining_cluster import Surroundings, add_surroundings

NOW = SystemClock().now_ms


@dataclass(frozen=True)
class Site:
    """A data folder and its database, which may be on a server."""

    kind: Kind
    url: DatabaseUrl
    data: Path
    env: dict[str, str]

    def __call__(self, *args: str, env: dict[str, str] | None = None) -> Said:
        return Cli(self.data)(*args, env=self.env | (env or {}))

    def ok(self, *args: str) -> Said:
        said = self(*args)
        assert said.code == 0, f"{args}: {said}"
        return said


def write_url(url: DatabaseUrl) -> str:
    scheme = {"postgres": "postgresql+psycopg", "mysql": "mysql+aiomysql"}[url.kind.value]
    return f"{scheme}://{url.user}:{url.password}@{url.host}:{url.port}/{url.name}"


def make_site(kind: Kind, tmp_path: Path) -> Generator[Site]:
    with prepare_ground(tmp_path) as ground:
        folder = ground.folder()
        url = ground.upgraded(kind, folder)
        env = {"FLOWFORGE_DATABASE_URL": write_url(url)} if url.is_server else {}
        yield Site(kind, url, folder.root, env)


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Site]:
    yield from make_site(cast("Kind", request.param), tmp_path)


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[Site]:
    yield from make_site("postgres", tmp_path)


def employ(site: Site, no: int, **changes: Any) -> None:
    """A worker that lives for a minute."""
    row: dict[str, Any] = {"no": no, "name": f"w{no}", "expires_at": NOW() + 60_000, "dead": 0, "role": "worker"}
    row |= {"version": "0.1.0", "host": "box", "pid": 4242, "queues": "default,heavy", "address": "10.0.0.1:8080"}
    change_rows(site.url, insert(workers).values(row | {"started_at": AT} | changes))


class TestQueues:
    def test_what_waits_by_queue_and_priority(self, site: Site):
        fill(site.url, size=2)
        due_ms = NOW() - 90_000
        change_rows(
            site.url,
            insert(queue).values(make_place(100, due_at=due_ms)),
            insert(queue).values(make_place(101, due_at=due_ms + 30_000)),
            insert(queue).values(make_place(102, due_at=due_ms, priority=0)),
            insert(jobs).values(make_job(100, "a", queue="gpu", at=due_ms)),
        )
        rows = {(cast("str", row["queue"]), cast("int", row["priority"])): row for row in site.ok("queues").rows}
        assert set(rows) == {("default", 0), ("default", 5), ("gpu", 5), ("heavy", 5)}
        counts = {place: tuple(row[name] for name in ("due", "waiting", "running")) for place, row in rows.items()}
        assert counts == {("default", 0): (1, 0, 0), ("default", 5): (2, 2, 0), ("gpu", 5): (1, 0, 0), ("heavy", 5): (1, 0, 3)}
        assert 90_000 <= cast("int", rows["default", 5]["oldest_age_ms"]) < 200_000
        assert rows["gpu", 5]["oldest_age_ms"] is not None
        # In a data folder whoever lives takes everything.
        assert all(row["has_worker"] is (site.kind == "sqlite") for row in rows.values())

    def test_queue_without_a_living_worker_is_told(self, cluster: Site, terminal: None):
        fill(cluster.url, size=2)
        employ(cluster, 20, queues="default")
        employ(cluster, 21, queues="heavy", expires_at=NOW() - 1)
        employ(cluster, 22, queues="heavy", dead=1)
        change_rows(cluster.url, insert(queue).values(make_place(100, due_at=AT)))
        said = cluster.ok("queues")
        assert "No living worker serves heavy:" in said.err
        assert "default" in said.out
        change_rows(cluster.url, update(workers).where(workers.c.no == 21).values(expires_at=NOW() + 60_000))
        assert cluster.ok("queues").err == ""

    def test_nothing_waits(self, site: Site, terminal: None):
        assert site.ok("queues").err == "Nothing waits.\n"


class TestWorkers:
    def test_who_works_and_what_they_have(self, site: Site):
        fill(site.url, size=2)
        employ(site, 20)
        employ(site, 21, expires_at=NOW() - 5_000, queues="")
        employ(site, 22, role="scheduler", queues="")
        change_rows(
            site.url, update(leases).values(holder=22, expires_at=FAR), update(runs).where(runs.c.no == OWNED).values(owner=20)
        )
        change_rows(site.url, update(jobs).where(jobs.c.owner.is_not(None)).values(owner=20))
        rows = {row["no"]: row for row in site.ok("workers").rows}
        assert {no: row["state"] for no, row in rows.items()} == {7: "late", 20: "alive", 21: "late", 22: "alive"}
        assert (rows[20]["runs"], rows[20]["jobs"], rows[21]["runs"]) == (1, 3, 0)
        assert rows[20]["queues"] == ["default", "heavy"]
        assert rows[20]["address"] == "10.0.0.1:8080"
        assert [no for no, row in rows.items() if row["is_leader"]] == [22]
        assert 30_000 <= cast("int", rows[21]["beat_age_ms"]) < 120_000, "an expiry of 30 s before its end, 5 s ago"
        everybody = site.ok("workers", "--all").rows
        assert [row["state"] for row in everybody if row["no"] == 9] == ["dead"]

    def test_versions_that_differ_are_told(self, cluster: Site, terminal: None, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("COLUMNS", "200")
        employ(cluster, 20)
        employ(cluster, 21, version="0.2.0")
        said = cluster.ok("workers")
        assert "0.1.0, 0.2.0" in said.err
        assert "box:4242" in said.out

    def test_command_that_carries_a_run_is_no_worker(self, cluster: Site, tmp_path: Path):
        path = tmp_path / "hello.yaml"
        path.write_text(f"flowforge: 1\nname: hello\n{HELLO}\n")
        cluster.ok("run", str(path))
        (row,) = cluster.ok("workers", "--all").rows
        assert (row["name"], row["role"], row["queues"], row["pid"]) == ("run", "command", [], os.getpid())
        assert row["version"]


def test_up_is_for_a_data_folder(cluster: Site):
    said = cluster("up", "--once")
    assert (said.code, said.error["code"]) == (2, "BAD_REQUEST")
    assert "`flowforge worker`" in str(said.error["message"])


def test_continue_of_a_run_whose_job_nobody_takes_ends(cluster: Site, tmp_path: Path):
    path = tmp_path / "scan.yaml"
    path.write_text("flowforge: 1\nname: scan\nsteps: [{id: scan, uses: file.write, queue: gpu, with: {path: a, text: x}}]\n")
    run_id = str(cluster.ok("run", str(path), "--detach").row["run_id"])
    (row,) = read_rows(cluster.url, select(runs.c.no).where(runs.c.id == run_id))
    plan: JsonObject = {"type": "step.planned", "step": "scan", "attempt": 1, "key": "k", "digest": "d", "job": "gpu"}
    events: list[JsonValue] = [{"type": "run.claimed", "epoch": 1, "worker": 1, "why": "due"}, plan]
    turn = {"run_no": row["no"], "seq": 2, "epoch": 1, "at": AT, "events": 2, "body": json.dumps(events)}
    job = make_job(row["no"], "scan", queue="gpu")
    change_rows(cluster.url, insert(journal).values(turn), insert(jobs).values(job), update(queue).values(due_at=FAR))
    employ(cluster, 20, queues="default")
    said = cluster("runs", "continue", run_id, "--patience", "100ms", "--json")
    assert (said.code, said.rows[-1]["status"]) == (3, "waiting")


def test_open_family_of_a_run_is_all_that_it_called(cluster: Site):
    lines = [
        make_run(no, parent_no=parent, parent_key=None if parent is None else f"call#{no}")
        for no, parent in ((1, None), (2, 1), (3, 2), (4, 1), (5, None))
    ]
    change_rows(cluster.url, insert(runs).values(lines), update(runs).where(runs.c.no == 4).values(finished_at=AT))

    async def find() -> list[int]:
        database = open_sessions(cluster.url)
        try:
            async with database.read() as session:
                return await find_open_family(session, 1)
        finally:
            await database.close()

    assert asyncio.run(find()) == [1, 2, 3]


class TestDeadLetters:
    def test_events_and_messages_are_listed_and_shown(self, site: Site):
        fill(site.url, size=2)
        rows = site.ok("dead-letters", "list").rows
        assert [(row["id"], row["kind"]) for row in rows] == [("event_61", "event"), ("message_70", "message")]
        event = site.ok("dead-letters", "show", "event_61").row
        assert (event["attempts"], event["payload"], event["subject"]) == (8, {}, "run run_1")
        assert json.loads(site.ok("dead-letters", "show", "message_70").out)["excerpt"] == ODD_TEXT

    def test_event_is_redriven_once(self, site: Site):
        fill(site.url, size=2)
        site.ok("dead-letters", "redrive", "event_61")
        (row,) = read_rows(site.url, select(outbox).where(outbox.c.no == 61))
        assert (row["dead_at"], row["attempts"]) == (None, 0)
        assert abs(row["due_at"] - NOW()) < 60_000
        assert site("dead-letters", "redrive", "event_61").code == 4
        assert site("dead-letters", "discard", "event_60").code == 4, "an event that lives is no dead letter"

    def test_event_and_message_are_discarded(self, site: Site):
        fill(site.url, size=2)
        site.ok("dead-letters", "discard", "event_61")
        site.ok("dead-letters", "discard", "message_70")
        assert site.ok("dead-letters", "list").rows == []
        assert [row["no"] for row in read_rows(site.url, select(outbox.c.no))] == [60]
        assert read_rows(site.url, select(refused_messages)) == []
        assert site("dead-letters", "discard", "message_70").code == 4

    def test_message_cannot_be_redriven(self, cluster: Site):
        fill(cluster.url, size=1)
        said = cluster("dead-letters", "redrive", "message_70")
        assert (said.code, "only be looked at" in said.err) == (2, True)

    def test_ids_that_are_none(self, cluster: Site):
        for letter in ("event_", "event_x", "event_-1", "event_٣", "event_1' OR 1=1", "other_1", "run_1", "event_" + "9" * 300):
            codes = {cluster("dead-letters", action, "--", letter).code for action in ("show", "redrive", "discard")}
            assert codes == {4}, letter


def start_run(site: Site, tmp_path: Path, more: str = "") -> str:
    path = tmp_path / "hello.yaml"
    path.write_text(f"flowforge: 1\nname: hello\n{more}{HELLO}\n")
    return cast("str", site.ok("run", str(path), "--detach").row["run_id"])


def why(site: Site, run_id: str, env: dict[str, str] | None = None) -> tuple[str, list[JsonObject]]:
    said = site("runs", "why", run_id, env=env)
    assert said.code == 0, said
    return cast("str", said.row["sentence"]), cast("list[JsonObject]", said.row["causes"])


class TestWhy:
    def test_no_worker_takes_runs(self, cluster: Site, tmp_path: Path):
        run_id = start_run(cluster, tmp_path)
        employ(cluster, 20, queues="heavy")
        sentence, causes = why(cluster, run_id)
        assert "no living worker takes runs" in sentence
        assert causes == [{"kind": "no_worker", "ref": {"queue": "default"}}]
        employ(cluster, 21)
        assert why(cluster, run_id)[1][0]["kind"] == "queued"

    def test_worker_is_dead_and_nobody_notices(self, cluster: Site, tmp_path: Path):
        run_id = start_run(cluster, tmp_path)
        employ(cluster, 20, expires_at=NOW() - 1_000)
        change_rows(cluster.url, delete(queue), update(runs).values(owner=20, status="running"))
        sentence, causes = why(cluster, run_id)
        assert "`flowforge scheduler`" in sentence
        assert causes[0]["kind"] == "waiting_for_scheduler"
        employ(cluster, 21, role="scheduler", queues="")
        assert why(cluster, run_id)[1][0]["kind"] == "worker_dead"

    def test_holder_of_the_limit_is_named(self, cluster: Site, tmp_path: Path):
        first = start_run(cluster, tmp_path, "concurrency: {limit: 1}\n")
        second = start_run(cluster, tmp_path, "concurrency: {limit: 1}\n")
        employ(cluster, 20)
        held = [row["run_no"] for row in read_rows(cluster.url, select(slots.c.run_no))]
        if not held:
            (row,) = read_rows(cluster.url, select(runs.c.no).where(runs.c.id == first))
            (place,) = read_rows(cluster.url, select(queue.c.scope).where(queue.c.run_no == row["no"]))
            values = {"scope": place["scope"], "n": 1, "run_no": row["no"], "key": "", "since": AT, "displaced": 0}
            change_rows(cluster.url, insert(slots).values(values), delete(queue).where(queue.c.run_no == row["no"]))
            change_rows(cluster.url, update(queue).values(cause="concurrency"))
        sentence, causes = why(cluster, second)
        assert f"held by {first}" in sentence
        assert causes[0]["holders"] == [first]

    def test_job_without_a_worker_names_its_queue(self, cluster: Site, tmp_path: Path):
        run_id = start_run(cluster, tmp_path)
        employ(cluster, 20, queues="default")
        (row,) = read_rows(cluster.url, select(runs.c.no).where(runs.c.id == run_id))
        change_rows(cluster.url, insert(jobs).values(make_job(row["no"], "scan", queue="gpu")), update(queue).values(due_at=FAR))
        sentence, causes = why(cluster, run_id)
        assert "`flowforge worker --queues gpu`" in sentence
        assert (causes[0]["kind"], causes[0]["step"]) == ("no_worker", "scan")

    def test_newer_worker_is_needed(self, cluster: Site, tmp_path: Path):
        run_id = start_run(cluster, tmp_path)
        employ(cluster, 20)
        change_rows(cluster.url, update(queue).values(needs=99))
        sentence, causes = why(cluster, run_id)
        assert "newer version" in sentence
        assert causes[0]["ref"] == {"needs": 99, "known": cast("JsonObject", causes[0]["ref"])["known"]}

    def test_broker_that_does_not_answer_is_a_note(self, cluster: Site, tmp_path: Path):
        run_id = start_run(cluster, tmp_path)
        employ(cluster, 20)
        sentence, causes = why(cluster, run_id, {"FLOWFORGE_BROKER_URL": "redis://127.0.0.1:1/0"})
        assert "broker does not answer" in sentence
        assert causes[-1]["kind"] == "broker_unreachable"

    def test_on_sqlite_the_sentences_are_those_of_one_machine(self, tmp_path: Path):
        for site in make_site("sqlite", tmp_path):
            sentence, causes = why(site, start_run(site, tmp_path))
            assert "`flowforge up`" in sentence
            assert causes == [{"kind": "no_worker"}]

    def test_job_that_somebody_makes_names_the_worker(self):
        told: JsonObject = {"sentence": "…", "causes": [{"kind": "job", "step": "scan"}]}

        def say(*owners: int | None) -> str:
            made = [JobLine(f"scan.{no}", 2, "gpu", AT, owner) for no, owner in enumerate(owners)]
            around = Surroundings({"default", "gpu"}, has_scheduler=True, holders=(), jobs=made, broker_trouble=None)
            return str(add_surroundings(told, None, NOW(), around)["sentence"])

        assert say(7).startswith("The step scan.0 runs on the worker 7 (a job of the queue gpu), attempt 2, ")
        assert say(None).startswith("The step scan.0 waits in the queue gpu for its turn, attempt 2, ")
        assert say(None, 7, None).startswith("The step scan.1 runs on the worker 7 ")
        assert say(None, 7, None).endswith(" 2 more of its jobs are under way or queued.")
        assert say() == "…"


class TestDoctor:
    def find(self, said: Said) -> dict[str, JsonObject]:
        return {cast("str", row["check"]): row for row in said.rows}

    @pytest.mark.parametrize("kind", ["postgres", "mysql"])
    def test_cluster_that_is_well(self, kind: Kind, tmp_path: Path):
        for site in make_site(kind, tmp_path):
            employ(site, 20)
            employ(site, 21, role="scheduler", queues="")
            shared = tmp_path / "shared"
            shared.mkdir()
            env = {"FLOWFORGE_ENCRYPTION_KEY": os.urandom(32).hex(), "FLOWFORGE_OBJECT_STORE_URL": f"file://{shared}"}
            found = self.find(site("doctor", env=env))
            wanted = ("database", "server", "latency", "clock skew", "keys shared", "objects", "workers", "schedulers", "queues")
            assert {name: found[name]["state"] for name in wanted} == dict.fromkeys(wanted, "ok"), found

    def test_what_is_missing_is_told_with_what_mends_it(self, cluster: Site):
        fill(cluster.url, size=1)
        employ(cluster, 20, queues="io")
        employ(cluster, 21, version="0.2.0", queues="")
        change_rows(cluster.url, insert(queue).values(make_place(100, due_at=AT)))
        found = self.find(cluster("doctor"))
        wanted = ("keys shared", "objects", "broker", "redis", "workers", "schedulers", "queues", "versions")
        assert {name: found[name]["state"] for name in wanted} == dict.fromkeys(wanted, "warn")
        assert all(found[name]["mend"] for name in wanted)
        assert "--queues default,heavy" in cast("str", found["queues"]["mend"])

    def test_schedulers_are_not_counted_as_workers(self, cluster: Site):
        employ(cluster, 20)
        employ(cluster, 21, role="scheduler", queues="")
        change_rows(cluster.url, insert(leases).values({"name": "scheduler", "holder": 21, "epoch": 1, "expires_at": FAR}))
        found = self.find(cluster("doctor"))
        assert found["workers"]["found"] == "1 alive, 1 take runs"
        assert found["schedulers"]["found"] == "1 alive, number 21 leads"

    def test_key_that_does_not_open_the_secrets_fails(self, cluster: Site):
        first, second = os.urandom(32).hex(), os.urandom(32).hex()
        Cli(cluster.data)("secrets", "set", "SHOP", stdin="s3cret-token", env={**cluster.env, "FLOWFORGE_ENCRYPTION_KEY": first})
        same = self.find(cluster("doctor", env={"FLOWFORGE_ENCRYPTION_KEY": first}))
        assert same["secrets"]["state"] == "ok"
        assert "of ENCRYPTION_KEY" in cast("str", same["keys"]["found"])
        other = cluster("doctor", env={"FLOWFORGE_ENCRYPTION_KEY": second})
        found = self.find(other)["secrets"]
        assert (other.code, found["state"], found["found"]) == (1, "fail", "1 of 1 do not open with the keys of this machine")
        worker = cluster("worker", env={"FLOWFORGE_ENCRYPTION_KEY": second})
        assert (worker.code, "open none of the 1 secrets" in str(worker.error["message"])) == (2, True)
        changed = {"FLOWFORGE_ENCRYPTION_KEY": second, "FLOWFORGE_ENCRYPTION_KEY_PREVIOUS": first}
        assert self.find(cluster("doctor", env=changed))["secrets"]["state"] == "ok"

    def test_package_for_redis_that_is_missing(self, cluster: Site, monkeypatch: pytest.MonkeyPatch):
        def find_nothing(_name: str) -> None:
            """As where the package is not there."""

        monkeypatch.setattr("flowforge.entrypoints.cli.cluster_checks.find_spec", find_nothing)
        said = cluster("doctor", env={"FLOWFORGE_REDIS_URL": "redis://127.0.0.1:1/0"})
        assert (said.code, self.find(said)["redis"]["state"]) == (1, "fail")
        assert "flowforge[celery]" in cast("str", self.find(said)["redis"]["mend"])

    def test_database_that_is_not_there(self, cluster: Site):
        said = cluster("doctor", env={"FLOWFORGE_DATABASE_URL": "postgresql+psycopg://nobody:hunter2@127.0.0.1:1/x"})
        found = self.find(said)
        assert said.code == 1
        assert found["database"]["state"] == "fail"
        assert "hunter2" not in said.out + said.err

    def test_broker_that_does_not_answer_fails(self, cluster: Site):
        said = cluster("doctor", env={"FLOWFORGE_BROKER_URL": "redis://127.0.0.1:1/0"})
        found = self.find(said)
        assert (said.code, found["broker"]["state"], found["redis"]["state"]) == (1, "fail", "fail")

    def test_clock_that_is_ahead(self):
        from tests.support.clock import ManualClock

        from flowforge.entrypoints.cli.cluster_checks import check_skew

        class Told:
            def __init__(self, now_ms: int) -> None:
                self.now_ms = now_ms

            def read_time_ms(self) -> int:
                return self.now_ms

        clock = ManualClock()
        states = [
            check_skew(cast("Any", Told(clock.now_ms() + away_ms)), clock).state.value
            for away_ms in (0, 900, -900, 1_500, -1_500, 61_000, -61_000)
        ]
        assert states == ["ok", "ok", "ok", "warn", "warn", "fail", "fail"]


def test_rows_of_the_test_are_there(site: Site):
    """The tests above look at what `fill` writes."""
    fill(site.url, size=1)
    assert {OWNED, WAITING, ENDED, WITH_JOBS} <= {row["no"] for row in read_rows(site.url, select(runs.c.no))}
