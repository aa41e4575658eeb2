"""Harness A (cases 6.3): each scenario dies at its commit points, goes on in a fresh process, and the checker looks at what is left.

Bounded here; with CHAOS=1 every point of every scenario is tried.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.scenarios import SCENARIOS

REPOSITORY = Path(__file__).parents[2]
POINTS = 10_000 if os.environ.get("CHAOS") else 5


@pytest.mark.slow(600)
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_run_that_dies_at_a_commit_point_ends_as_if_it_had_not(name: str, tmp_path: Path):
    command = [sys.executable, "-m", "tests.support.crash_runner", name, str(tmp_path / name), str(POINTS)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2_000:]
    report = json.loads(done.stdout)
    assert report["tried"] >= min(POINTS, report["points"]) // 2
    assert report["faults"] == []
