"""What an engine counts about itself."""

from pathlib import Path

from tests.support.documents import make_document
from tests.support.lab import open_lab

DOCUMENT = make_document(
    "- {id: a, uses: test.record, with: {name: a}}\n- {id: b, uses: test.record, with: {name: b, failures: -1, fatal: true}}\n"
)


async def test_runs_steps_and_commits_are_counted(tmp_path: Path):
    async with open_lab(tmp_path) as lab:
        await lab.run(DOCUMENT)

        text = lab.metrics.render().decode()
    assert "flowforge_runs_started_total 1.0" in text
    assert 'flowforge_runs_finished_total{status="failed"} 1.0' in text
    assert 'flowforge_steps_finished_total{operation="test.record",outcome="completed"} 1.0' in text
    assert 'flowforge_steps_finished_total{operation="test.record",outcome="failed"} 1.0' in text
    assert "flowforge_commits_total" in text


async def test_start_that_is_a_repeat_is_not_counted(tmp_path: Path):
    async with open_lab(tmp_path) as lab:
        for _ in range(2):
            await lab.start(DOCUMENT, dedup="once")
        assert "flowforge_runs_started_total 1.0" in lab.metrics.render().decode()


async def test_runs_that_a_dead_worker_left_are_counted(tmp_path: Path):
    async with open_lab(tmp_path) as lab:
        lab.book.gate("a")
        started = await lab.start(DOCUMENT)
        await lab.until(lambda: "a" in lab.book.names())
        await lab.crash()
        lab.book.gates.clear()
        await lab.restart()
        await lab.finish(started)

        assert "flowforge_crashes_total 1.0" in lab.metrics.render().decode()
