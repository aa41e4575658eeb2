from dataclasses import replace
from pathlib import Path

from tests.support.lab import QUICK, open_lab

from flowforge.kit.limits import Limits

DOCUMENT = """flowforge: 1
name: large
steps:
  - {id: a, uses: test.record, with: {name: a, value: "${{ input.text }}"}}
"""


async def test_parameters_beyond_their_limit_fail_the_step_before_anything_is_sent(tmp_path: Path):
    async with open_lab(tmp_path, replace(QUICK, limits=Limits(step_in_max_bytes=2_000))) as lab:
        outcome = await lab.run(DOCUMENT, {"text": "x" * 3_000})

        assert (outcome.status, outcome.error["code"]) == ("failed", "input_too_large")
        assert lab.book.entries() == []
