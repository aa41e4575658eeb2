"""F50, F60, F62, F65, F74, F76, F78: many at once, missing values, new versions, races of people and work."""

import sqlite3
from contextlib import closing

import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab
from tests.support.soundness import assert_rows_follow

from flowforge.kit.errors import StorageError
from flowforge.kit.objects import FileValue, ObjectStore

EFFECT = "- {id: a, uses: test.record, with: {name: a}}\n"


async def test_f50_sleepers_that_are_due_at_once_wake_once_each_and_none_early(lab: Lab):
    pinned = lab.define(make_document("- {id: nap, uses: flow.wait, with: {for: 1h}}\n" + EFFECT))
    runs = [await lab.start(pinned) for _ in range(1_000)]
    await lab.until(lambda: not lab.engine.lives)

    lab.advance(3_600_000)

    for started in runs:
        outcome = await lab.finish(started)
        assert outcome.status == "completed"
        assert len(outcome.of("timer.fired")) == len(outcome.of("run.claimed")) == 1
    assert len(lab.book.keys_of("a")) == len(lab.book.entries()) == 1_000


async def test_f60_run_waits_while_the_object_store_is_gone(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    document = make_document(
        "- {id: a, uses: test.record, with: {name: a, size: 300000}}\n"
        '- {id: b, uses: test.record, with: {name: b, value: "${{ size(steps.a.output.value) }}"}}\n'
    )
    tries: list[int] = []
    keep = ObjectStore.put_value

    def put(self: ObjectStore, data: bytes) -> FileValue:
        tries.append(len(data))
        if len(tries) == 1:
            raise StorageError("The object store is gone.")
        return keep(self, data)

    monkeypatch.setattr(ObjectStore, "put_value", put)

    outcome = await lab.run(document)

    assert outcome.status == "completed"
    assert lab.book.names() == ["a", "b"]
    assert lab.book.entries()[-1].value == 300_000
    assert len(tries) == 2


async def test_f62_runs_follow_the_version_that_they_began_with(lab: Lab):
    gate = lab.book.gate("a")
    started = [await lab.start(make_document(EFFECT + "- {id: v0, uses: test.record, with: {name: v0}}\n")) for _ in range(20)]
    await lab.until(lambda: lab.book.names() == ["a"] * 20)
    for version in range(1, 20):
        lab.define(make_document(f"- {{id: v{version}, uses: test.record, with: {{name: v{version}}}}}\n"), version)
    gate.set()
    await lab.crash()
    await lab.restart()

    for run in started:
        assert (await lab.finish(run)).status == "completed"
    later = await lab.run(lab.shelf.pinned["scenario", None])
    assert lab.book.names().count("v0") >= 20
    assert later.plans() == ["v19"]


async def test_f65_cancel_against_completion_has_one_end_and_the_answer_agrees(lab: Lab):
    pinned = lab.define(make_document(EFFECT))
    ended: set[str] = set()
    for _ in range(200):
        started = await lab.start(pinned)
        answer = await lab.send(started, "cancel")
        outcome = await lab.finish(started)
        ended.add(outcome.status)
        assert len(outcome.of("run.finished")) == 1
        assert outcome.status == ("completed" if answer == "finished" else "cancelled")
    assert ended <= {"completed", "cancelled"}


async def test_f65_cancel_that_meets_the_last_commit_wins_or_is_refused(lab: Lab):
    pinned = lab.define(make_document(EFFECT))
    for turn in range(60):
        gate = lab.book.gates["a"] = type(lab.book.gate("a"))()
        started = await lab.start(pinned)
        await lab.until(lambda started=started: any(entry.run == started.run_id for entry in lab.book.entries()))
        gate.set()
        if turn % 2:
            await lab.until(lambda started=started: started.run_no not in lab.engine.lives or lab.engine.committer.backlog > 0)
        answer = await lab.send(started, "cancel")
        outcome = await lab.finish(started)
        assert outcome.status == ("completed" if answer == "finished" else "cancelled")


async def test_f74_finished_runs_are_deleted_after_their_time_and_open_ones_are_kept(lab: Lab):
    await lab.engine.close(100)
    await lab.restart(keep_runs_ms=60_000)
    for _ in range(5):
        await lab.run(make_document(EFFECT))
    open_run = await lab.start(make_document("- {id: w, uses: flow.wait, with: {signal: go}}\n", name="open"))
    await lab.finish(open_run)

    lab.advance(700_000)
    await lab.until(lambda: count_rows(lab, "runs") == 1)

    assert count_rows(lab, "journal") == len(lab.store.load(open_run.run_no))
    lab.book.path.unlink()  # nobody knows their keys any more


def count_rows(lab: Lab, table: str) -> int:
    with closing(sqlite3.connect(lab.database)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


async def test_f78_every_journal_of_a_busy_engine_gives_its_row(lab: Lab):
    lab.define(make_document("- {id: c, uses: test.record, with: {name: c}}\n", name="callee"))
    documents = [
        EFFECT,
        "- {id: a, uses: flow.fail, with: {code: stop}}\n",
        "- {id: a, uses: test.record, with: {name: a, failures: 1}, retry: {attempts: 2, initial: 5ms}}\n",
        "- {id: a, uses: flow.call, with: {workflow: callee}}\n",
        "- id: a\n  uses: flow.foreach\n  with: {items: [1, 2, 3], concurrency: 2}\n  steps:\n    - {id: m, uses: test.record, with: {name: m}}\n",
    ]
    for place, steps in enumerate(documents):
        await lab.run(make_document(steps, name=f"w{place}"))

    assert count_rows(lab, "runs") == 6
    assert_rows_follow(lab)


async def test_turn_that_is_cut_because_it_is_long_goes_on(lab: Lab):
    document = make_document(
        """
- id: each
  uses: flow.foreach
  with: {items: "${{ lists.range(5000) }}", concurrency: unlimited}
  steps:
    - {id: light, uses: flow.set, with: {values: {n: "${{ index }}"}}}
  output: "${{ steps.light.output.n }}"
""",
        'output: "${{ size(steps.each.output) }}"\n',
    )

    assert (await lab.run(document)).output == 5_000
