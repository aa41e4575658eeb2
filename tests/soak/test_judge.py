"""Proof that the judge is awake: a sound history passes, and each thing that a cluster must never do is seen, on each database."""

from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, text
from tests.soak.harness import find_violations
from tests.support.checker import Acknowledged
from tests.support.cluster import Cluster, RunRef, make_effects
from tests.support.documents import make_document
from tests.support.history import driver_url, read
from tests.support.servers import Received

pytestmark = pytest.mark.slow(60)

Crime = Callable[[Cluster, RunRef], None]


def alter(statement: str) -> Crime:
    """Changes the database behind everybody's back."""

    def act(cluster: Cluster, run: RunRef) -> None:
        engine = create_engine(driver_url(cluster.direct_url))
        with engine.begin() as connection:
            assert connection.execute(text(statement), {"no": run.no, "id": run.id}).rowcount
        engine.dispose()

    return act


def requests_of(cluster: Cluster, run: RunRef, step: str) -> list[Received]:
    [planned] = cluster.of(run, "step.planned", step)
    return [request for request in cluster.world.received if request.headers["idempotency-key"] == planned["key"]]


def repeat_request(cluster: Cluster, run: RunRef) -> None:
    cluster.world.received += requests_of(cluster, run, "a")


def lose_request(cluster: Cluster, run: RunRef) -> None:
    [request] = requests_of(cluster, run, "b")
    cluster.world.received.remove(request)


def invent_request(cluster: Cluster, run: RunRef) -> None:
    del run
    cluster.world.received.append(Received("GET", "/a", {"idempotency-key": "of nobody"}, b"", 0))


def lose_start(cluster: Cluster, run: RunRef) -> None:
    del run
    cluster.client.acknowledged.append(Acknowledged("run_that_never_was", "start"))


def lose_signal(cluster: Cluster, run: RunRef) -> None:
    cluster.client.acknowledged.append(Acknowledged(run.id, "signal"))


CRIMES: list[tuple[str, Crime]] = [
    ("I1", lose_start),
    ("I1", lose_signal),
    ("I2", alter("DELETE FROM journal WHERE run_no = :no AND seq = 3")),
    ("I4", alter("UPDATE journal SET epoch = 0 WHERE run_no = :no AND seq = 3")),
    ("I5", alter("UPDATE runs SET status = 'failed' WHERE no = :no")),
    ("I6", alter("UPDATE runs SET owner = 1 WHERE no = :no")),
    ("I6", alter("DELETE FROM outbox WHERE event_type = 'run.finished' AND aggregate_id = :id")),
    ("I6", alter("UPDATE outbox SET published_at = NULL WHERE aggregate_id = :id")),
    ("I7", repeat_request),
    ("I7", lose_request),
    ("I8", invent_request),
]
"""What each of them breaks. They are committed one after the other, each on a run of its own."""


def test_sound_history_passes_and_each_crime_is_seen(cluster_on_each: Cluster):
    cluster = cluster_on_each
    definition = cluster.client.define(make_document(make_effects(cluster.world, "a", "b")))
    runs = [cluster.client.start(definition) for _ in CRIMES]
    cluster.add_worker()
    cluster.add_scheduler()
    assert cluster.until_ended(runs) == {"completed": len(CRIMES)}
    unsent = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
    cluster.until(lambda: cluster.value(unsent) == 0, "events for the outside are not sent")
    known = set(find_violations(cluster, read(cluster.direct_url)))
    assert known == set()

    for run, (invariant, commit) in zip(runs, CRIMES, strict=True):
        commit(cluster, run)
        found = set(find_violations(cluster, read(cluster.direct_url)))
        assert invariant in {violation.split(" ")[0] for violation in found - known}
        known = found
