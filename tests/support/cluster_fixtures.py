"""Fixtures of tests on clusters: what is slow to start is shared by all tests of a process."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.cluster import Cluster, open_cluster
from tests.support.fault_operations import install
from tests.support.nursery import Nursery, open_nursery
from tests.support.own_servers import OwnMariadb, OwnPostgres, OwnRabbitmq, OwnRedis
from tests.support.templates import ServerKind, Templates, open_shared

MakeCluster = Callable[..., Cluster]


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Generator[Nursery]:
    site = tmp_path_factory.mktemp("site")
    install(site)
    with open_nursery([site]) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_postgres() -> Generator[Templates]:
    yield from _serve("postgres")


@pytest.fixture(scope="session")
def shared_mysql() -> Generator[Templates]:
    yield from _serve("mysql")


def _serve(kind: ServerKind) -> Generator[Templates]:
    templates = open_shared(kind)
    yield templates
    templates.close()


@pytest.fixture(scope="session")
def own_postgres() -> Generator[OwnPostgres]:
    """A PostgreSQL that a test may restart, and leaves running."""
    server = OwnPostgres.make()
    yield server
    server.close()


@pytest.fixture(scope="session")
def own_mariadb() -> Generator[OwnMariadb]:
    server = OwnMariadb.make()
    yield server
    server.close()


@pytest.fixture(scope="session")
def own_redis() -> Generator[OwnRedis]:
    """A Redis that a test may empty and restart, and leaves running."""
    server = OwnRedis.make()
    yield server
    server.close()


@pytest.fixture(scope="session")
def own_rabbitmq() -> Generator[OwnRabbitmq]:
    server = OwnRabbitmq.make()
    yield server
    server.close()


@pytest.fixture
def make_cluster(tmp_path: Path, nursery: Nursery) -> Generator[MakeCluster]:
    """Clusters on new databases of a server, with an empty broker if a URL of one is given. At the end they and their databases go."""
    with ExitStack() as stack:

        def make(
            templates: Templates, *, broker_url: str | None = None, database_port: int | None = None, **settings: str
        ) -> Cluster:
            """`database_port`: of a proxy through which processes reach the database."""
            name = templates.clone()
            stack.callback(templates.drop, name)
            urls = templates.url(name, database_port), templates.url(name)
            opened = open_cluster(tmp_path / name, nursery, urls[0], direct_url=urls[1], broker_url=broker_url, **settings)
            return stack.enter_context(opened)

        yield make


@pytest.fixture
def cluster(make_cluster: MakeCluster, shared_postgres: Templates) -> Cluster:
    """A cluster on PostgreSQL without a broker: its workers look by themselves."""
    return make_cluster(shared_postgres)


@pytest.fixture(params=["postgres", "mysql"])
def cluster_on_each(request: pytest.FixtureRequest, make_cluster: MakeCluster) -> Cluster:
    """The same on PostgreSQL and on MariaDB."""
    return make_cluster(request.getfixturevalue(f"shared_{request.param}"))
