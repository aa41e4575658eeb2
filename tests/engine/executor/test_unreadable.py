"""Runs that cannot be brought to life: they are set aside, and the others of the same claim go on."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.documents import make_document
from tests.support.lab import open_lab

DOCUMENT = make_document("- {id: nap, uses: flow.wait, with: {for: 1h}}\n- {id: a, uses: test.record, with: {name: a}}\n")


async def test_a_journal_of_a_newer_version_is_left_to_its_workers_and_the_others_go_on(tmp_path: Path):
    async with open_lab(tmp_path) as lab:
        pinned = lab.define(DOCUMENT)
        runs = [await lab.start(pinned) for _ in range(3)]
        for started in runs:
            await lab.finish(started, 0)
        with closing(sqlite3.connect(lab.database)) as connection, connection:
            connection.execute(
                "UPDATE journal SET body=replace(body, 'step.waiting', 'step.dreaming') WHERE run_no=?", (runs[1].run_no,)
            )

        lab.advance(3_600_000)

        for started in (runs[0], runs[2]):
            assert (await lab.finish(started)).status == "completed"
        with closing(sqlite3.connect(lab.database)) as connection:
            status, owner = connection.execute("SELECT status, owner FROM runs WHERE no=?", (runs[1].run_no,)).fetchone()
            why = connection.execute("SELECT why FROM queue WHERE run_no=?", (runs[1].run_no,)).fetchone()[0]
        assert (status, owner) == ("queued", None)
        assert "step.dreaming" in why
