"""Holds the table of this folder to the tests: a case that is covered now has a test that bears its id."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
ROW: Final = re.compile(r"^\| ([A-Z]+)(\d+) \| .+ \| (now|later: .+) \|$", re.MULTILINE)
EXPECTED: Final = {
    *(f"F{number:02}" for number in range(1, 79)),
    *(f"CP{number:02}" for number in range(1, 29)),
    *(f"I{number}" for number in range(1, 21)),
    *(f"A{number:02}" for number in (*range(1, 10), 12, 13, 19, 20)),
}


def rows() -> list[tuple[str, str]]:
    """(id, state) of each line of the table."""
    text = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    return [(letters + digits, state) for letters, digits, state in ROW.findall(text)]


@lru_cache
def ids_in_tests() -> set[str]:
    """Ids in names of tests (`test_f02_…`) and in ids of parameters (`"F02 …"`), except in this file."""
    found: set[str] = set()
    for path in TESTS.rglob("*.py"):
        if path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            found.update(match.upper() for match in re.findall(r"def test_(?:\w*_)?((?:f|cp|i|a)\d+)_", text))
            found.update(re.findall(r"[\"'](?:\w+[- ])?((?:F|CP|I|A)\d+)\b", text))
    return found


def test_table_has_each_case_once():
    ids = [id_ for id_, _ in rows()]

    assert len(ids) == len(set(ids))
    assert set(ids) == EXPECTED


@pytest.mark.parametrize("id_", [id_ for id_, state in rows() if state == "now"])
def test_case_that_is_covered_now_has_its_test(id_: str):
    assert id_ in ids_in_tests()
