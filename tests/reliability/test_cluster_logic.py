"""F50, F62-F66, F72-F78 in processes, on PostgreSQL and MariaDB: many at once, new versions, races of people, timers and work."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tests.support.cluster import Cluster, RunRef, make_effects
from tests.support.documents import make_document

from flowforge.engine.store import Delivery, NewEvent
from flowforge.kit.border import encode
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.values import JsonObject

pytestmark = pytest.mark.slow(120)

OTHER_WORKSPACE = "ws_" + "1" * 26
SLEEPERS = int(os.environ.get("SLEEPERS", "2000"))
"""`make soak` takes 50,000."""
ENQUEUED = 3_000
MEMORY_KIB = 512 * 1024
KEPT_MS = 1_000


def read_memory_kib(pid: int) -> int:
    """The most memory that a process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def together(*acts: Callable[[], object]) -> list[object]:
    """Does them all at the same time; what each gave."""
    ready = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def do(place: int) -> None:
        ready.wait()
        results[place] = acts[place]()

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.slow(900)
def test_f50_sleepers_that_are_due_in_one_second_wake_once_each_and_none_early(cluster_on_each: Cluster):
    cluster = cluster_on_each
    document = make_document(
        '- {id: nap, uses: flow.wait, with: {until: "${{ input.at }}"}}\n- {id: end, uses: flow.set, with: {values: {a: 1}}}\n'
    )
    definition = cluster.client.define(document)
    at = cluster.client.time_from_now(5_000 + 2 * SLEEPERS)
    workers = [cluster.add_worker() for _ in range(2)]
    cluster.add_scheduler()
    runs = cluster.client.start_many(definition, SLEEPERS, {"at": at})
    other = cluster.client.start(definition, {"at": at}, workspace=OTHER_WORKSPACE)

    assert cluster.until_ended([*runs, other], 60 + SLEEPERS / 100) == {"completed": SLEEPERS + 1}
    database = cluster.check()
    for history in database.histories:
        kinds = [entry.type for entry in history.entries]
        assert kinds.count("timer.fired") == 1
        assert kinds.count("run.claimed") <= 2
    [fired] = [
        entry.at - int(str(entry.event["due"]))
        for history in database.histories
        for entry in history.entries
        if history.id == other.id and entry.type == "timer.fired"
    ]
    assert 0 <= fired <= 10_000
    assert max(read_memory_kib(worker.pid) for worker in workers) < MEMORY_KIB


def test_f62_runs_follow_the_version_that_they_began_with_on_every_worker(cluster_on_each: Cluster):
    cluster = cluster_on_each
    gate = cluster.gate("/first")
    steps = make_effects(cluster.world, "first", "v1")
    first = cluster.client.publish(make_document(steps, name="moving"))
    worker = cluster.add_worker()
    cluster.add_scheduler()
    runs = [cluster.client.start(first) for _ in range(20)]
    cluster.until_requests("/first", 20)
    for version in range(2, 6):
        cluster.client.publish(make_document(make_effects(cluster.world, f"v{version}"), name="moving"))
    worker.kill()
    gate.open()
    cluster.add_worker()
    [later] = cluster.command("run", "moving", "--detach")

    assert cluster.until_ended(runs) == {"completed": 20}
    cluster.until_requests("/v5")
    cluster.until(lambda: cluster.value("SELECT count(*) FROM runs WHERE finished_at IS NULL") == 0, f"{later} does not end")
    assert len(cluster.keys("/v1")) == 20
    assert [len(cluster.requests(f"/v{version}")) for version in range(2, 6)] == [0, 0, 0, 1]
    assert {event["workflow"]["version"] for run in runs for event in cluster.of(run, "run.started")} == {1}  # type: ignore[index,call-overload]
    cluster.check(served={"first", "v1", "v5"})


def test_f63_workflow_with_open_runs_is_deleted_by_force_alone_and_its_runs_are_cancelled(cluster_on_each: Cluster):
    cluster = cluster_on_each
    definition = cluster.client.publish(make_document("- {id: w, uses: flow.wait, with: {signal: go}}\n", name="doomed"))
    cluster.add_worker()
    runs = [cluster.client.start(definition) for _ in range(5)]
    for run in runs:
        cluster.until_status(run, "waiting")

    cluster.command("workflows", "delete", "doomed", exit_code=6)
    assert {cluster.status(run) for run in runs} == {"waiting"}
    cluster.command("workflows", "delete", "doomed", "--force")

    assert cluster.until_ended(runs) == {"cancelled": 5}
    assert cluster.value("SELECT count(*) FROM definitions") > 0
    cluster.check()


def test_f64_step_that_always_fails_is_tried_four_times_though_its_worker_is_killed(cluster_on_each: Cluster):
    cluster = cluster_on_each
    cluster.world.fail_ratio = 1.0
    retry = "retry: {attempts: 4, initial: 400ms, backoff: fixed}"
    run = cluster.client.start(cluster.client.define(make_document(make_effects(cluster.world, "a", a=retry))))
    worker = cluster.add_worker()
    cluster.add_scheduler()
    cluster.until(lambda: len(cluster.of(run, "step.failed")) == 2, "the second attempt does not fail")
    worker.kill()
    cluster.add_worker()

    assert cluster.until_ended([run]) == {"failed": 1}
    failures = cluster.of(run, "step.failed")
    assert [event["attempt"] for event in failures][-1] in {4, 5}
    assert len(failures) == 4
    assert failures[-1]["retry_at"] is None
    assert len(cluster.keys("/a")) == 1
    cluster.check(served=())


def test_f65_cancel_against_completion_has_one_end_and_the_answer_agrees(cluster_on_each: Cluster):
    cluster = cluster_on_each
    definition = cluster.client.define(make_document(make_effects(cluster.world, "a")))
    for _ in range(2):
        cluster.add_worker()
    cluster.until_workers(2)
    random = Random(65)
    answers: list[tuple[RunRef, Delivery]] = []
    for _ in range(60):
        run = cluster.client.start(definition)
        threading.Event().wait(random.uniform(0, 0.12))
        answers.append((run, cluster.client.send(run, "cancel")))

    cluster.until_ended([run for run, _ in answers])
    for run, answer in answers:
        assert cluster.status(run) == ("completed" if answer is Delivery.FINISHED else "cancelled")
        assert len(cluster.of(run, "run.finished")) == 1
    cluster.check()


def test_f66_cancel_during_an_effect_aborts_it_and_nothing_but_finally_starts(cluster_on_each: Cluster):
    cluster = cluster_on_each
    gate = cluster.gate("/a")
    last = make_effects(cluster.world, "tidy").replace("- ", "  - ")
    document = make_document(make_effects(cluster.world, "a", "b"), f"finally:\n{last}")
    cluster.add_worker()
    run = cluster.client.start(cluster.client.define(document))
    cluster.until_requests("/a")
    cluster.client.send(run, "cancel")
    cluster.until(lambda: gate.abandoned == 1, "the effect is not aborted")

    assert cluster.until_ended([run]) == {"cancelled": 1}
    assert [event["step"] for event in cluster.of(run, "step.planned")] == ["a", "~finally/tidy"]
    assert not cluster.of(run, "step.completed", "a")
    assert (len(cluster.requests("/b")), len(cluster.requests("/tidy"))) == (0, 1)
    cluster.check(served={"tidy"})


def test_f72_signals_and_named_events_before_their_wait_are_consumed_once(cluster_on_each: Cluster):
    cluster = cluster_on_each
    gate = cluster.gate("/a")
    waits = "- {id: w1, uses: flow.wait, with: {signal: go}}\n- {id: w2, uses: flow.wait, with: {signal: news, key: k1}}\n"
    definition = cluster.client.define(
        make_document(make_effects(cluster.world, "a") + waits, 'output: "${{ [steps.w1.output, steps.w2.output] }}"\n')
    )
    cluster.add_worker()
    runs = [cluster.client.start(definition) for _ in range(10)]
    cluster.until_requests("/a", 10)
    for run in runs:
        assert cluster.client.signal(run, "go", {"from": "signal"}, dedup="s1") is Delivery.DELIVERED
        assert cluster.client.signal(run, "go", {"from": "signal"}, dedup="s1") is Delivery.DUPLICATE
    store = cluster.client.installation.store
    body: JsonObject = {"name": "news", "key": "k1", "payload": {"from": "event"}}
    store.publish(NewEvent(DEFAULT_WORKSPACE_ID, "news", "k1", encode(body), "user:tester", store.now_ms()))
    gate.open()

    assert cluster.until_ended(runs) == {"completed": 10}
    for run in runs:
        assert cluster.of(run, "run.finished")[0]["output"] == [{"from": "signal"}, {"from": "event"}]
        assert [event["step"] for event in cluster.of(run, "step.completed")] == ["a", "w1", "w2"]
    cluster.check(served={"a"})


def test_f74_purge_that_is_killed_in_the_middle_leaves_no_run_without_its_journal(cluster_on_each: Cluster):
    cluster = cluster_on_each
    definition = cluster.client.define(make_document("- {id: a, uses: flow.set, with: {values: {a: 1}}}\n"))
    waiting = cluster.client.define(make_document("- {id: w, uses: flow.wait, with: {signal: go}}\n"))
    worker = cluster.add_worker()
    runs = cluster.client.start_many(definition, 300)
    kept = cluster.client.start(waiting)
    assert cluster.until_ended(runs) == {"completed": 300}
    cluster.stop(worker)
    last = cluster.value("SELECT max(finished_at) FROM runs")
    cluster.until(lambda: cluster.client.installation.store.now_ms() > last + KEPT_MS, "time stands still")
    dying = [cluster.add(role, KEEP_RUNS="1s", environment={"TEST_DIE_AT": "CP24:2"}) for role in ("worker", "scheduler")]
    cluster.until(lambda: any(child.code == -signal.SIGKILL for child in dying), "nobody prunes")
    for child in dying:
        child.kill()
    count = cluster.value("SELECT count(*) FROM runs")
    assert 1 < count < 301
    assert cluster.value("SELECT count(DISTINCT run_no) FROM journal") == count

    cluster.add_worker(KEEP_RUNS="1s")
    cluster.add_scheduler(KEEP_RUNS="1s")
    cluster.until(lambda: cluster.value("SELECT count(*) FROM runs") == 1, "what was left is not pruned")
    cluster.client.acknowledged = [each for each in cluster.client.acknowledged if each.run == kept.id]
    cluster.check(open_runs=[kept])


def test_f76_workspace_that_enqueues_very_much_does_not_hold_up_another(cluster_on_each: Cluster):
    cluster = cluster_on_each
    definition = cluster.client.define(make_document("- {id: a, uses: flow.set, with: {values: {a: 1}}}\n"))
    many = cluster.client.start_many(definition, ENQUEUED)
    others = [cluster.client.start(definition, workspace=OTHER_WORKSPACE) for _ in range(5)]
    cluster.add_worker(RUNS_MAX="200")
    cluster.until_ended(others)
    done = cluster.value("SELECT count(*) FROM runs WHERE finished_at IS NOT NULL")

    assert done < ENQUEUED
    assert cluster.until_ended(many, 60) == {"completed": ENQUEUED}
    cluster.check()


def test_f77_wait_that_is_ended_from_two_sides_has_one_outcome(cluster_on_each: Cluster):
    cluster = cluster_on_each
    definition = cluster.client.define(
        make_document(
            "- {id: w, uses: flow.wait, with: {signal: go, expires: 700ms}}\n- {id: late, after: w.expired, uses: flow.set, with: {values: {a: 1}}}\n"
        )
    )
    for _ in range(2):
        cluster.add_worker()
    cluster.until_workers(2)
    random = Random(77)
    clients = [cluster.client, cluster.add_client(), cluster.add_client()]
    runs = [cluster.client.start(definition) for _ in range(12)]
    threading.Event().wait(0.6)
    for run in runs:
        threading.Event().wait(random.uniform(0, 0.03))
        together(
            lambda run=run: clients[0].signal(run, "go", 1),
            lambda run=run: clients[1].send(run, "skip", step="w"),
            lambda run=run: clients[2].signal(run, "go", 2),
        )

    cluster.until_ended(runs)
    for run in runs:
        outcomes = [*cluster.of(run, "step.completed", "w"), *cluster.of(run, "step.bypassed", "w")]
        assert len(outcomes) == 1
    cluster.check()


def test_f77_two_resumes_at_once_resume_once(cluster_on_each: Cluster):
    cluster = cluster_on_each
    gate = cluster.gate("/a")
    cluster.add_worker()
    run = cluster.client.start(cluster.client.define(make_document(make_effects(cluster.world, "a", "b"))))
    cluster.until_requests("/a")
    cluster.client.send(run, "pause")
    cluster.until(lambda: bool(cluster.of(run, "run.mail")), "the worker does not read its mail")
    gate.open()
    cluster.until(lambda: bool(cluster.of(run, "step.completed", "a")), "the step in flight does not end")
    assert not cluster.of(run, "step.planned", "b")
    other = cluster.add_client()
    together(lambda: cluster.client.send(run, "resume"), lambda: other.send(run, "resume"))

    assert cluster.until_ended([run]) == {"completed": 1}
    assert len(cluster.requests("/b")) == 1
    if cluster.value("SELECT count(*) FROM outbox"):
        assert cluster.value("SELECT count(*) FROM outbox WHERE event_type = 'run.resumed'") >= 1
    cluster.check(served={"a", "b"})


def test_f78_every_journal_of_a_busy_cluster_gives_its_row(cluster_on_each: Cluster):
    cluster = cluster_on_each
    url = cluster.world.url
    cluster.client.publish(make_document(make_effects(cluster.world, "child"), name="callee"))
    documents = [
        make_effects(cluster.world, "a"),
        "- {id: stop, uses: flow.fail, with: {code: stop}}\n",
        "- {id: call, uses: flow.call, with: {workflow: callee}}\n",
        f'- {{id: job, uses: test.work, with: {{url: "{url}/job"}}}}\n',
        f'- id: each\n  uses: flow.foreach\n  with: {{items: [1, 2, 3], concurrency: 2}}\n  steps:\n    - {{id: m, uses: http.request, with: {{url: "{url}/m"}}}}\n',
        "- {id: nap, uses: flow.wait, with: {for: 200ms}}\n",
    ]
    for _ in range(2):
        cluster.add_worker()
    cluster.add_scheduler()
    runs = [
        cluster.client.start(cluster.client.define(make_document(steps, name=f"w{place}")))
        for place, steps in enumerate(documents)
        for _ in range(5)
    ]

    assert cluster.until_ended(runs) == {"completed": 25, "failed": 5}
    database = cluster.check(served={"a", "child", "job", "m"})
    assert sum(history.row["finished_at"] is not None for history in database.histories) == 35
