"""Harness A (cases 6.3): each scenario dies at its commit points, goes on in a fresh process, and the checker looks at what is left.

Bounded here; with CHAOS=1 every point of every scenario is tried.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import cast

import pytest
from tests.support.scenarios import SCENARIOS

from flowforge.kit.values import JsonObject

REPOSITORY = Path(__file__).parents[2]
POINTS = 10_000 if os.environ.get("CHAOS") else 5


def die_at_points(name: str, folder: Path, most: int) -> JsonObject:
    command = [sys.executable, "-m", "tests.support.crash_runner", name, str(folder), str(most)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    report = json.loads(done.stdout)
    assert not report["faults"], f"{report['faults']}\n{done.stderr[-4_000:]}"
    return report


@pytest.mark.slow(600)
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_run_that_dies_at_a_commit_point_ends_as_if_it_had_not(name: str, tmp_path: Path):
    report = die_at_points(name, tmp_path / name, POINTS)

    assert cast("int", report["tried"]) >= min(POINTS, cast("int", report["points"])) // 2


# The places of cases 6.2 that the executor and the store pass on one machine, by the scenario that passes them.
PASSED = [
    ("CP07", "timer", {"CP07"}),
    ("CP09", "timer", {"CP08", "CP09"}),
    ("CP10", "timer", {"CP10a", "CP10b"}),
    ("CP11", "timer", {"CP11"}),
    ("CP12", "timer", {"CP12"}),
    ("CP14", "timer", {"CP14"}),
    ("CP20", "cancel", {"CP19", "CP20"}),
    ("CP28", "signal", {"CP28a", "CP28b"}),
]


@cache
def list_places(scenario: str) -> frozenset[str]:
    with tempfile.TemporaryDirectory() as folder:
        return frozenset(cast("list[str]", die_at_points(scenario, Path(folder) / scenario, 1)["names"]))


@pytest.mark.slow(60)
@pytest.mark.parametrize(("scenario", "names"), [row[1:] for row in PASSED], ids=[row[0] for row in PASSED])
def test_a_scenario_passes_the_place(scenario: str, names: set[str]):
    assert names <= list_places(scenario)
