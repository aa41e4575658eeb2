"""A bounded soak of each set; `make soak` gives each ten minutes."""

import os
from pathlib import Path

import pytest
from tests.soak.harness import SETS, run_soak

SECONDS = float(os.environ.get("SOAK_SECONDS", "50")) / len(SETS)


@pytest.mark.first
@pytest.mark.slow(900)
@pytest.mark.parametrize("name", SETS)
def test_everything_that_was_acknowledged_is_done_once_whatever_befalls_the_cluster(name: str, tmp_path: Path):
    report = run_soak(name, tmp_path, SECONDS, seed=11)

    assert report.problems == [], report.describe()
    assert report.runs > SECONDS
    assert sum(report.faults.values()) > SECONDS / 5
    assert report.takeovers > 0
    assert report.requests > report.effective
