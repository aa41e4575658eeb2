"""A bounded session of random kills; `make chaos` runs a thousand."""

import os
from pathlib import Path

import pytest
from tests.chaos.kill9 import CALLS, run_chaos

KILLS = 1_000 if os.environ.get("CHAOS") else 8


@pytest.mark.slow(3_600)
def test_nothing_is_lost_and_nothing_known_is_repeated_when_the_process_is_killed_at_random(tmp_path: Path):
    report = run_chaos(tmp_path, KILLS, seed=7)

    assert report["faults"] == []
    assert report["kills"] == KILLS
    assert report["effective"] == (CALLS + 1) * int(str(report["runs"]))
