"""Long runs leave a snapshot when they leave memory, and go on from it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.documents import make_document
from tests.support.lab import QUICK, Lab, Outcome, open_lab
from tests.support.soundness import assert_sound

from flowforge.engine.executor import Started
from flowforge.engine.machine.snapshot import SNAPSHOT_FORMAT
from flowforge.engine.store import Claimed, ClaimRequest

LOOP = """
- id: each
  uses: flow.foreach
  with: {items: "${{ input.items }}"}
  steps:
    - {id: twice, uses: test.double, with: {number: "${{ item }}"}}
- {id: nap, uses: flow.wait, with: {for: 1h}}
- {id: last, uses: test.record, with: {name: last, value: "${{ size(steps.each.output) }}"}}
"""
OUT = 'output: "${{ [steps.last.output.value, steps.each.output[1499].number] }}"\n'

MIXED = """
- {id: large, uses: test.record, with: {name: large, size: 300000}}
- {id: alike, uses: flow.set, with: {values: {value: [1, {id: file_1, size: 3, sha256: "00"}]}}}
- id: each
  uses: flow.foreach
  with: {items: [1, 2, 3], concurrency: 2}
  steps:
    - {id: nap, uses: flow.wait, with: {for: 1h}}
    - id: pay
      uses: test.record
      with: {name: pay, value: "${{ [item, index] }}"}
      compensate: {uses: test.record, with: {name: back, value: "${{ steps.pay.output.value }}"}}
- {id: ask, uses: flow.wait, with: {signal: go}}
- id: told
  uses: test.record
  with: {name: told, value: "${{ [size(steps.large.output.value), steps.alike.output.value, steps.ask.output] }}"}
- {id: later, uses: flow.wait, with: {for: 1h}}
- {id: end, uses: test.record, with: {name: end, failures: -1, fatal: true}}
"""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path, QUICK) as opened:
        yield opened
    assert_sound(opened)


@pytest.fixture
def claims(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[Claimed]:
    """All that is claimed in this lab."""
    return watch_claims(lab, monkeypatch)


def watch_claims(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[Claimed]:
    seen: list[Claimed] = []
    claim = lab.store.claim

    def see(request: ClaimRequest) -> list[Claimed]:
        found = list(claim(request))
        seen.extend(found)
        return found

    monkeypatch.setattr(lab.store, "claim", see)
    return seen


def snapshots(lab: Lab) -> list[tuple[int, int]]:
    """Seq and format of each snapshot in the database."""
    with closing(sqlite3.connect(lab.database)) as connection:
        return connection.execute("SELECT seq, format FROM snapshots").fetchall()


def spoil(lab: Lab, change: str) -> None:
    with closing(sqlite3.connect(lab.database)) as connection:
        connection.execute(f"UPDATE snapshots SET {change}")
        connection.commit()


async def wake_at_the_end(lab: Lab, started: Started) -> Outcome:
    lab.advance(3_600_000)
    outcome = await lab.finish(started)
    assert outcome.status == "completed"
    return outcome


async def start_long_loop(lab: Lab) -> Started:
    started = await lab.start(make_document(LOOP, OUT), {"items": [*range(1_500)]})
    assert (await lab.finish(started)).status == "waiting"
    return started


async def test_long_loop_that_sleeps_goes_on_from_its_snapshot(lab: Lab, claims: list[Claimed]):
    started = await start_long_loop(lab)
    rows = len(lab.store.load(started.run_no))
    assert snapshots(lab) == [(rows, SNAPSHOT_FORMAT)]

    outcome = await wake_at_the_end(lab, started)

    assert outcome.output == [1_500, 2_998]
    (claimed,) = claims
    assert (claimed.snapshot_seq, len(claimed.rows)) == (rows, 1)
    assert snapshots(lab) == []


async def test_history_counts_go_on_behind_a_snapshot(lab: Lab):
    started = await start_long_loop(lab)
    slept = len(lab.events(started.run_no))
    gate = lab.book.gate("last")
    lab.advance(3_600_000)
    await lab.until(lambda: lab.book.names() == ["last"])

    live = lab.engine.lives[started.run_no]

    # The row of the birth, run.started, is not counted.
    assert live.snapshot_events == slept - 1
    assert live.history_events == len(lab.events(started.run_no)) - 1
    gate.set()
    assert (await lab.finish(started)).status == "completed"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("format=99", id="another format"),
        pytest.param("body=x'00'", id="no head"),
        pytest.param("body=CAST(substr(body, 1, length(body)-9) AS BLOB)", id="cut short"),
    ],
)
async def test_snapshot_that_cannot_be_read_is_ignored(lab: Lab, claims: list[Claimed], change: str):
    started = await start_long_loop(lab)
    spoil(lab, change)

    outcome = await wake_at_the_end(lab, started)

    assert outcome.output == [1_500, 2_998]
    assert claims[0].snapshot is not None


async def test_short_history_leaves_no_snapshot(lab: Lab, claims: list[Claimed]):
    started = await lab.start(make_document("- {id: nap, uses: flow.wait, with: {for: 1h}}\n"))
    assert (await lab.finish(started)).status == "waiting"

    assert snapshots(lab) == []
    await wake_at_the_end(lab, started)
    assert claims[0].snapshot is None


async def play_mixed(lab: Lab) -> Outcome:
    started = await lab.start(make_document(MIXED))
    for _ in range(2):
        assert (await lab.finish(started)).status == "waiting"
        lab.advance(3_600_000)
    await lab.until(lambda: lab.book.names().count("pay") == 3)
    assert (await lab.finish(started)).status == "waiting"
    await lab.send(started, "signal", name="go", payload={"by": "me"})
    await lab.until(lambda: "told" in lab.book.names())
    assert (await lab.finish(started)).status == "waiting"
    lab.advance(3_600_000)
    return await lab.finish(started)


async def test_run_that_leaves_a_snapshot_at_every_release_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    outcomes: dict[int, Outcome] = {}
    for events in (0, 1_000):
        (tmp_path / str(events)).mkdir()
        async with open_lab(tmp_path / str(events), replace(QUICK, snapshot_events=events)) as lab:
            claims = watch_claims(lab, monkeypatch)
            outcomes[events] = await play_mixed(lab)
            assert all((claimed.snapshot is not None) == (events == 0) for claimed in claims)
            assert len(claims) >= 4
            told = next(entry.value for entry in lab.book.entries() if entry.name == "told")
            assert told == [300_000, [1, {"id": "file_1", "size": 3, "sha256": "00"}], {"by": "me"}]
            assert [entry.value for entry in lab.book.entries() if entry.name == "back"] == [[3, 2], [2, 1], [1, 0]]
        assert_sound(lab)

    assert summary(outcomes[0]) == summary(outcomes[1_000])


def summary(outcome: Outcome) -> list[tuple[str, str]]:
    """What happened to each step; in which turns, and in how many claims, is a matter of time."""
    return sorted((event["type"], str(event.get("step"))) for event in outcome.events if event["type"] != "run.claimed")
