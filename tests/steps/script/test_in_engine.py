"""Scripts as steps of runs: their results are journalled, and large ones leave the journal."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.lab import QUICK, Lab

from flowforge.kit.limits import Limits
from flowforge.kit.sandbox.pool import SandboxPool
from flowforge.steps.script import javascript

HEAD = "flowforge: 1\nname: sample\nsteps:\n"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[Lab]:
    pool = SandboxPool(Limits(), size=1)
    lab = Lab(tmp_path, QUICK, services={SandboxPool: pool})
    lab.registry.register_module(javascript, "the tests")
    await lab.engine.open()
    yield lab
    await lab.close()
    await pool.aclose()


async def test_scr_32_chance_of_a_script_that_ended_is_not_drawn_again_after_a_crash(lab: Lab):
    gate = lab.book.gate("b")
    started = await lab.start(
        HEAD
        + "  - {id: a, uses: script.javascript, with: {source: 'return [Math.random(), Date.now()]'}}\n"
        + "  - {id: b, uses: test.record, with: {name: b}}\n"
        + "output: ${{ steps.a.output }}\n"
    )
    await lab.until(lambda: "b" in lab.book.names())
    [drawn] = lab.read(started).of("step.completed", "a")
    await lab.crash()
    gate.set()
    await lab.restart()
    outcome = await lab.finish(started)

    assert outcome.output == drawn["output"]
    assert len(outcome.of("step.started", "a")) <= 1
    assert len(outcome.of("step.completed", "a")) == 1


async def test_scr_21_a_large_result_leaves_the_journal(lab: Lab):
    outcome = await lab.run(
        HEAD
        + "  - {id: a, uses: script.javascript, with: {source: \"return 'x'.repeat(300_000)\"}}\n"
        + "output: ${{ size(steps.a.output) }}\n"
    )
    assert outcome.output == 300_000
    assert "blob" in outcome.of("step.completed", "a")[0]


async def test_a_template_of_javascript_is_no_expression_and_an_expression_in_the_source_is_a_fault(lab: Lab):
    outcome = await lab.run(
        HEAD
        + "  - {id: a, uses: script.javascript, with: {source: 'return `${input.n + 1} of ${input.n}`', input: {n: '${{ 1 + 1 }}'}}}\n"
        + "output: ${{ steps.a.output }}\n"
    )
    assert outcome.output == "3 of 2"
    with pytest.raises(AssertionError, match="source"):
        lab.define(HEAD + "  - {id: a, uses: script.javascript, with: {source: 'return ${{ 1 + 1 }}'}}\n")
