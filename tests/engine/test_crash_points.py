"""Harness A (cases 6.3): each scenario dies at its commit points, goes on in a fresh process, and the checker looks at what is left.

Bounded here; with CHAOS=1 every point of every scenario is tried.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import cast

import pytest
from tests.support.scenarios import SCENARIOS

from flowforge.kit.values import JsonObject

REPOSITORY = Path(__file__).parents[2]
POINTS = 10_000 if os.environ.get("CHAOS") else 3


class CrashRunner:
    """One process for all scenarios of this module: its imports cost more than most of them."""

    def __init__(self, said: Path) -> None:
        self._said = said
        command = [sys.executable, "-m", "tests.support.crash_runner"]
        with said.open("w") as log:
            self._process = subprocess.Popen(
                command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._places: dict[str, frozenset[str]] = {}

    def die_at_points(self, name: str, folder: Path, most: int) -> JsonObject:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, str(folder), most]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._said.read_text()[-4_000:]
        report = json.loads(line)
        assert not report["faults"], f"{report['faults']}\n{self._said.read_text()[-4_000:]}"
        self._places[name] = frozenset(cast("list[str]", report["names"]))
        return report

    def list_places(self, name: str, folder: Path) -> frozenset[str]:
        """The names of the points of a scenario; one that was looked at before is not looked at again."""
        if name not in self._places:
            self.die_at_points(name, folder, 1)
        return self._places[name]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Generator[CrashRunner]:
    runner = CrashRunner(tmp_path_factory.mktemp("crashes") / "said.log")
    yield runner
    runner.close()


@pytest.mark.slow(600)
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_run_that_dies_at_a_commit_point_ends_as_if_it_had_not(name: str, runner: CrashRunner, tmp_path: Path):
    report = runner.die_at_points(name, tmp_path / name, POINTS)

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


@pytest.mark.slow(60)
@pytest.mark.parametrize(("scenario", "names"), [row[1:] for row in PASSED], ids=[row[0] for row in PASSED])
def test_a_scenario_passes_the_place(scenario: str, names: set[str], runner: CrashRunner, tmp_path: Path):
    assert names <= runner.list_places(scenario, tmp_path / scenario)
