"""F20-F29 in processes: the database of a cluster restarts, loses answers, is full, read-only, or slow."""

import os
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.support.cluster import Cluster, Definition, RunRef, make_effects
from tests.support.cluster_fixtures import MakeCluster
from tests.support.documents import make_document
from tests.support.own_servers import OwnMariadb, OwnPostgres, make_folder
from tests.support.tcp_proxy import open_tcp_proxy
from tests.support.templates import Templates

pytestmark = pytest.mark.slow(120)

MIB = 1 << 20


@pytest.fixture(scope="module")
def postgres_templates(own_postgres: OwnPostgres) -> Templates:
    return Templates("postgres", own_postgres.port)


@pytest.fixture(scope="module")
def mysql_templates(own_mariadb: OwnMariadb) -> Templates:
    return Templates("mysql", own_mariadb.port)


def define(cluster: Cluster, size: int = 0) -> Definition:
    """Two effects with a nap between them; `size`: of a value that is kept, in characters."""
    text = f'- {{id: big, uses: flow.set, with: {{values: {{text: "{"x" * size}"}}}}}}\n' if size else ""
    steps = (
        make_effects(cluster.world, "a")
        + text
        + "- {id: nap, uses: flow.wait, with: {for: 100ms}}\n"
        + make_effects(cluster.world, "b")
    )
    return cluster.client.define(make_document(steps))


def assert_nothing_failed(cluster: Cluster) -> None:
    """G13: what befalls the infrastructure is no failure of a step."""
    for (body,) in cluster.rows("SELECT body FROM journal"):
        assert "step.failed" not in body


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_f20_runs_end_though_their_database_restarts(make_cluster: MakeCluster, request: pytest.FixtureRequest, kind: str):
    templates: Templates = request.getfixturevalue(f"{kind}_templates")
    server: OwnPostgres | OwnMariadb = request.getfixturevalue("own_postgres" if kind == "postgres" else "own_mariadb")
    cluster = make_cluster(templates)
    definition = define(cluster)
    gate = cluster.gate("/a")
    runs = [cluster.client.start(definition) for _ in range(50)]
    workers = [cluster.add_worker() for _ in range(2)]
    scheduler = cluster.add_scheduler()
    cluster.until_requests("/a", 50)
    server.end() if kind == "mysql" else server.restart()
    gate.open()
    if kind == "mysql":
        server.start()
    later = [cluster.client.start(definition) for _ in range(5)]

    assert cluster.until_ended([*runs, *later]) == {"completed": 55}
    assert all(process.is_alive for process in (*workers, scheduler))
    assert len(cluster.keys("/a")) == len(cluster.keys("/b")) == 55
    assert_nothing_failed(cluster)
    cluster.check(served={"a", "b"})


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
@pytest.mark.parametrize("loss", ["F21 answer", "F22 request"])
def test_commit_that_is_cut_off_is_stored_once(make_cluster: MakeCluster, request: pytest.FixtureRequest, kind: str, loss: str):
    templates: Templates = request.getfixturevalue(f"shared_{kind}")
    with open_tcp_proxy(templates.port) as proxy:
        cluster = make_cluster(templates, database_port=proxy.port)
        cluster.add_worker()
        cluster.add_scheduler(DATABASE_URL=cluster.direct_url)
        cluster.until_workers()
        runs: list[RunRef] = []
        for losses in range(1, 6):
            lose = proxy.lose_answer if loss == "F21 answer" else proxy.lose_request
            lose(b"COMMIT")
            runs += [cluster.client.start(define(cluster)) for _ in range(5)]
            cluster.until(lambda losses=losses: proxy.losses >= losses, "no commit came by")

        assert cluster.until_ended(runs) == {"completed": 25}
        cluster.check(served={"a", "b"})
    assert len(cluster.keys("/a")) == len(cluster.keys("/b")) == 25
    assert_nothing_failed(cluster)


@contextmanager
def small_disk(server: OwnPostgres, size_bytes: int) -> Generator[Path]:
    """A disk of that size with a folder on it which the server can write."""
    folder = make_folder("disk", server.user)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=777", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        folder.rmdir()
        pytest.skip("a small disk cannot be mounted here: that takes root")
    try:
        space = folder / "space"
        space.mkdir()
        if server.user is not None:
            shutil.chown(space, server.user)
        yield space
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def test_f24_cluster_waits_while_the_disk_of_the_database_is_full_and_goes_on_by_itself(
    make_cluster: MakeCluster, own_postgres: OwnPostgres
):
    """The tables alone lie on the small disk, not the write-ahead log: without room for that PostgreSQL itself ends."""
    with small_disk(own_postgres, 32 * MIB) as space:
        own_postgres.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        templates = Templates("postgres", own_postgres.port, "TABLESPACE small")
        cluster = make_cluster(templates)
        workers = [cluster.add_worker() for _ in range(2)]
        cluster.add_scheduler()
        definition = define(cluster, size=60_000)
        before = [cluster.client.start(definition) for _ in range(5)]
        assert cluster.until_ended(before) == {"completed": 5}
        gate = cluster.gate("/a")
        runs = [cluster.client.start(definition) for _ in range(20)]
        cluster.until_requests("/a", 25)
        fill(space.parent / "balloon")
        gate.open()
        cluster.until(lambda: any("disk" in cluster.logs(worker) for worker in workers), "nobody tells of the disk")
        assert cluster.status(runs[0]) not in {"failed", "cancelled"}
        (space.parent / "balloon").unlink()

        assert cluster.until_ended(runs, 60) == {"completed": 20}
        assert all(worker.is_alive for worker in workers)
        assert len(cluster.keys("/a")) == len(cluster.keys("/b")) == 25
        assert_nothing_failed(cluster)
        cluster.check(served={"a", "b"})
        cluster.close()
        templates.close()
        own_postgres.execute("DROP TABLESPACE small")


def fill(path: Path) -> None:
    """Takes all the space that there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MIB // 16))
        except OSError:
            pass


def test_f28_cluster_waits_while_the_database_is_read_only(
    make_cluster: MakeCluster, own_postgres: OwnPostgres, postgres_templates: Templates
):
    cluster = make_cluster(postgres_templates)
    workers = [cluster.add_worker() for _ in range(2)]
    scheduler = cluster.add_scheduler()
    gate = cluster.gate("/a")
    definition = define(cluster)
    runs = [cluster.client.start(definition) for _ in range(10)]
    cluster.until_requests("/a", 10)
    own_postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    own_postgres.restart()
    try:
        gate.open()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            own_postgres.execute("CREATE TABLE refused (n integer)")
        time.sleep(0.5)
        assert {cluster.status(run) for run in runs} <= {"running", "queued", "waiting"}
    finally:
        own_postgres.execute("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")

    assert cluster.until_ended(runs, 60) == {"completed": 10}
    assert all(process.is_alive for process in (*workers, scheduler))
    assert_nothing_failed(cluster)
    cluster.check(served={"a", "b"})


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_f29_database_that_takes_longer_for_each_answer_costs_time_and_nothing_else(
    make_cluster: MakeCluster, request: pytest.FixtureRequest, kind: str
):
    """A sixtieth of the expiry longer, as half a second is of thirty."""
    templates: Templates = request.getfixturevalue(f"shared_{kind}")
    with open_tcp_proxy(templates.port) as proxy:
        cluster = make_cluster(templates, database_port=proxy.port, BEAT="1s", EXPIRY="3s")
        cluster.add_worker()
        cluster.add_scheduler(DATABASE_URL=cluster.direct_url)
        cluster.until_workers()
        proxy.slow(0.05)
        runs = [cluster.client.start(define(cluster)) for _ in range(5)]

        assert cluster.until_ended(runs, 60) == {"completed": 5}
    assert len(cluster.requests("/a")) == len(cluster.requests("/b")) == 5
    assert cluster.value("SELECT count(*) FROM workers WHERE dead <> 0 AND role = 'worker'") == 0
    assert cluster.value("SELECT max(crashes) FROM runs") == 0
    cluster.check(served={"a", "b"})
