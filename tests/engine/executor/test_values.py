"""Large values, secrets, logs, keys, histories that are full, operations that are missing."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.documents import make_document
from tests.support.lab import QUICK, WORKSPACE, Lab, open_lab
from tests.support.soundness import assert_sound

from flowforge.engine.store import Verdict
from flowforge.kit.errors import NotInstalledError, ValidationError
from flowforge.kit.limits import Limits

CANARY = "canary-9f27c6e1a4"


def everything(lab: Lab) -> str:
    """All bytes that the lab's folder holds, but for the lock files."""
    return "\n".join(path.read_bytes().decode("latin-1") for path in lab.folder.rglob("*") if path.is_file())


def logs(lab: Lab) -> list[tuple[str, str, int, str, str]]:
    with closing(sqlite3.connect(lab.database)) as connection:
        return connection.execute("SELECT level, step, attempt, message, fields FROM step_logs").fetchall()


async def test_large_output_lies_beside_the_journal_and_is_read_back(lab: Lab):
    document = make_document(
        """
- {id: a, uses: test.record, with: {name: a, size: 300000}}
- {id: b, uses: test.record, with: {name: b, value: "${{ size(steps.a.output.value) }}"}}
""",
        'output: "${{ steps.b.output.value }}"\n',
    )

    outcome = await lab.run(document)

    assert outcome.output == 300_000
    assert "blob" in outcome.of("step.completed", "a")[0]
    assert all(len(row.body) < 10_000 for row in lab.store.load(outcome.started.run_no))


async def test_large_output_is_still_there_after_a_crash(lab: Lab):
    gate = lab.book.gate("b")
    document = make_document(
        """
- {id: a, uses: test.record, with: {name: a, size: 300000}}
- {id: b, uses: test.record, with: {name: b}}
- {id: c, uses: test.record, with: {name: c, value: "${{ size(steps.a.output.value) }}"}}
""",
        'output: "${{ steps.c.output.value }}"\n',
    )
    started = await lab.start(document)
    await lab.until(lambda: "b" in lab.book.names())
    await lab.crash()
    gate.set()
    await lab.restart()

    assert (await lab.finish(started)).output == 300_000


async def test_large_output_of_the_run_itself(lab: Lab):
    outcome = await lab.run(
        make_document("- {id: a, uses: test.record, with: {name: a, size: 300000}}\n", 'output: "${{ steps.a.output.value }}"\n')
    )

    assert outcome.status == "completed"
    assert "blob" in outcome.last


async def test_large_values_of_a_loop_are_read_by_index(lab: Lab):
    document = make_document(
        """
- id: each
  uses: flow.foreach
  with: {items: [1, 2], concurrency: 2}
  steps:
    - {id: mark, uses: test.record, with: {name: mark, size: 300000}}
- {id: end, uses: test.record, with: {name: end, value: "${{ size(steps.each.output[1].value) }}"}}
""",
        'output: "${{ steps.end.output.value }}"\n',
    )

    assert (await lab.run(document)).output == 300_000


async def test_compensation_reads_a_large_output(lab: Lab):
    document = make_document(
        """
- {id: a, uses: test.record, with: {name: a, size: 300000}}
- {id: b, uses: test.record, with: {name: b}, compensate: {uses: test.record, with: {name: undo, value: "${{ size(steps.a.output.value) }}"}}}
- {id: c, uses: flow.fail, with: {code: stop}}
"""
    )

    assert (await lab.run(document)).status == "failed"
    assert lab.book.entries()[-1].value == 300_000


async def test_output_that_is_too_large_fails_the_step_for_good(tmp_path_factory: pytest.TempPathFactory):
    settings = replace(QUICK, limits=Limits(step_out_max_bytes=5_000))
    async with open_lab(tmp_path_factory.mktemp("lab"), settings) as lab:
        outcome = await lab.run(
            make_document("- {id: a, uses: test.record, with: {name: a, size: 6000}, retry: {attempts: 3, initial: 1ms}}\n")
        )

        assert outcome.error["code"] == "output_too_large"
        assert len(lab.book.entries()) == 1
    assert_sound(lab)


@pytest.mark.parametrize("fails", [False, True])
async def test_a19_secret_is_nowhere_but_in_the_attempt(lab: Lab, fails: bool):
    lab.shelf.secrets["TOKEN"] = CANARY
    step = f'- {{id: a, uses: test.tell, with: {{secret: "Bearer ${{{{ secrets.TOKEN }}}}", fails: {str(fails).lower()}}}}}\n'

    outcome = await lab.run(make_document(step))

    assert outcome.status == ("failed" if fails else "completed")
    assert lab.book.entries()[0].value == len(f"Bearer {CANARY}")
    assert CANARY not in everything(lab)
    assert len(logs(lab)) == 1
    assert CANARY not in str(logs(lab))


async def test_secret_is_resolved_at_each_attempt(lab: Lab):
    lab.shelf.secrets["TOKEN"] = "short"
    gate = lab.book.gate("a")
    document = make_document(
        '- {id: a, uses: test.record, with: {name: a}}\n- {id: b, uses: test.tell, with: {secret: "${{ secrets.TOKEN }}"}}\n'
    )
    started = await lab.start(document)
    await lab.until(lambda: lab.book.names() == ["a"])
    lab.shelf.secrets["TOKEN"] = "a longer one"
    gate.set()
    await lab.finish(started)

    assert lab.book.entries()[-1].value == len("a longer one")


async def test_secret_that_is_missing_fails_the_step(lab: Lab):
    outcome = await lab.run(make_document('- {id: a, uses: test.tell, with: {secret: "${{ secrets.TOKEN }}"}}\n'))

    assert (outcome.status, outcome.error["code"]) == ("failed", "secret_missing")
    assert not lab.book.entries()


async def test_variables_are_those_of_the_start(lab: Lab):
    lab.shelf.variables["CITY"] = "Bonn"
    gate = lab.book.gate("a")
    document = make_document(
        '- {id: a, uses: test.record, with: {name: a}}\n- {id: b, uses: test.record, with: {name: b, value: "${{ vars.CITY }}"}}\n'
    )
    started = await lab.start(document)
    lab.shelf.variables["CITY"] = "Köln"
    gate.set()
    await lab.finish(started)

    assert lab.book.entries()[-1].value == "Bonn"


async def test_log_of_a_step_names_it_and_its_attempt(lab: Lab):
    await lab.run(make_document("- {id: a, uses: test.log, with: {name: hello, value: 3}}\n"))

    assert logs(lab) == [("info", "a", 1, "hello", '{"value":3}')]


async def test_log_of_a_failed_attempt_is_kept(lab: Lab):
    lab.shelf.secrets["TOKEN"] = "whatever"
    await lab.run(make_document('- {id: a, uses: test.tell, with: {secret: "${{ secrets.TOKEN }}", fails: true}}\n'))

    assert [(level, step) for level, step, *_ in logs(lab)] == [("info", "a")]


async def test_same_start_gives_the_same_run(lab: Lab):
    pinned = lab.define(make_document("- {id: a, uses: test.record, with: {name: a}}\n"))

    first = await lab.start(pinned, dedup="order-7")
    again = await lab.start(pinned, dedup="order-7")
    await lab.finish(first)
    later = await lab.start(pinned, dedup="order-7")

    assert again.verdict is later.verdict is Verdict.DUPLICATE
    assert first.run_id == again.run_id == later.run_id
    assert first.run_no == again.run_no == later.run_no
    assert len(lab.book.entries()) == 1


async def test_input_that_does_not_fit_is_refused_and_nothing_is_stored(lab: Lab):
    document = make_document(
        "- {id: a, uses: flow.set, with: {values: {}}}\n",
        "input: {type: object, required: [n], properties: {n: {type: integer}}}\n",
    )

    with pytest.raises(ValidationError) as caught:
        await lab.start(document, {"n": "x"})

    assert caught.value.details[0].field.endswith("n")
    with closing(sqlite3.connect(lab.database)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone()[0] == 0


async def test_text_that_runs_are_found_by_is_bounded(lab: Lab):
    for head in ("labels: {a: HERE}", "subject: HERE", "concurrency: {limit: 1, key: HERE}"):
        document = make_document(
            "- {id: a, uses: flow.set, with: {values: {}}}\n", head.replace("HERE", "'${{ input.n }}'") + "\n"
        )
        for value, code in (("x" * 201, "length"), ("a\nb", "control_char")):
            with pytest.raises(ValidationError) as caught:
                await lab.start(document, {"n": value})
            assert caught.value.details[0].code == code, head
        assert (await lab.run(document, {"n": "x" * 200})).status == "completed", head


LINKED = """
- {id: before, uses: flow.set, with: {values: {link: "${{ run.resume_url }}"}}}
- {id: hold, uses: flow.wait, with: {signal: go}}
- {id: after, uses: flow.set, with: {values: {same: "${{ run.resume_url == steps.before.output.link }}"}}}
"""


def make_link(workspace_id: str, run_id: str) -> str:
    return f"/{workspace_id}/{run_id}"


async def test_link_of_a_run_is_made_at_its_birth_and_stays(lab: Lab):
    lab.engine.parts = replace(lab.engine.parts, link=make_link)
    plain = await lab.run(make_document("- {id: a, uses: flow.set, with: {values: {}}}\n"))
    started = await lab.start(make_document(LINKED, 'output: "${{ steps.before.output.link }}"\n'))
    await lab.finish(started)
    await lab.crash()
    await lab.restart()
    await lab.send(started, "signal", name="go", payload=None)
    outcome = await lab.finish(started)
    assert outcome.output == make_link(WORKSPACE, started.run_id)
    assert outcome.of("step.completed", "after")[0]["output"] == {"same": True}
    assert "resume_url" not in plain.events[0], "who does not read it costs nothing"


INNER = 'output: "${{ steps.a.output }}"\n'


async def test_called_run_has_a_link_of_its_own(tmp_path: Path):
    async with open_lab(tmp_path, link=make_link) as lab:
        lab.define(make_document("- {id: a, uses: flow.set, with: {values: {link: '${{ run.resume_url }}'}}}\n", INNER, "inner"))
        outcome = await lab.run(make_document("- {id: call, uses: flow.call, with: {workflow: inner}}\n"))
    (plan,) = outcome.of("step.planned", "call")
    child = plan["child"]
    assert isinstance(child, dict)
    assert outcome.of("step.completed", "call")[0]["output"] == {"link": make_link(WORKSPACE, str(child["run"]))}


async def test_defaults_of_the_input_are_filled_in(lab: Lab):
    document = make_document(
        '- {id: a, uses: flow.set, with: {values: {n: "${{ input.n }}"}}}\n',
        'input: {type: object, properties: {n: {type: integer, default: 7}}}\noutput: "${{ steps.a.output.n }}"\n',
    )

    assert (await lab.run(document, {})).output == 7


async def test_kind_that_is_not_installed_refuses_the_start(lab: Lab):
    with pytest.raises(NotInstalledError, match=r"human\.approval"):
        await lab.start(make_document("- {id: a, uses: human.approval, with: {title: Yes?, assignees: [{role: lead}]}}\n"))


async def test_operation_that_went_away_fails_its_step(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    gate = lab.book.gate("a")
    started = await lab.start(
        make_document("- {id: a, uses: test.record, with: {name: a}}\n- {id: b, uses: test.route, with: {port: left}}\n")
    )
    await lab.until(lambda: lab.book.names() == ["a"])
    with monkeypatch.context() as patch:
        patch.delitem(lab.registry._operations, "test.route")  # type: ignore[reportPrivateUsage]
        gate.set()
        outcome = await lab.finish(started)

    assert (outcome.status, outcome.error["code"]) == ("failed", "not_installed")


async def test_f73_run_whose_history_is_full_fails_and_stays_readable(tmp_path_factory: pytest.TempPathFactory):
    settings = replace(QUICK, history_events_max=60, history_events_warn=30)
    async with open_lab(tmp_path_factory.mktemp("lab"), settings) as lab:
        document = make_document(
            """
- id: again
  uses: flow.repeat
  with: {until: false, limit: 1000}
  steps:
    - {id: mark, uses: test.record, with: {name: mark}}
"""
        )
        outcome = await lab.run(document)
        other = await lab.run(make_document("- {id: a, uses: test.record, with: {name: a}}\n", name="other"))

        assert (outcome.status, outcome.error["code"]) == ("failed", "history_limit")
        assert 60 <= len(outcome.events) < 90
        assert other.status == "completed"
    assert_sound(lab)


async def test_f73_many_bytes_fill_a_history_too(tmp_path_factory: pytest.TempPathFactory):
    settings = replace(QUICK, limits=Limits(history_bytes=2**20))
    async with open_lab(tmp_path_factory.mktemp("lab"), settings) as lab:
        document = make_document(
            """
- id: again
  uses: flow.repeat
  with: {until: false, limit: 100}
  steps:
    - {id: mark, uses: test.record, with: {name: mark, size: 200000}}
"""
        )
        outcome = await lab.run(document)

        assert (outcome.status, outcome.error["code"]) == ("failed", "history_limit")
        assert len(lab.book.entries()) < 12
    assert_sound(lab)
