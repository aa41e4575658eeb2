"""Holds the table of this folder to the tests: a case that is covered now has a test that bears its id."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
ROW: Final = re.compile(r"^\| ([A-Z]+-?\d+) \| .+ \| (now|later: .+) \|$", re.MULTILINE)
EXPECTED: Final = {
    *(f"F{number:02}" for number in range(1, 79)),
    *(f"CP{number:02}" for number in range(1, 29)),
    *(f"I{number}" for number in range(1, 21)),
    *(f"A{number:02}" for number in (*range(1, 10), 12, 13, 19, 20)),
    *(f"SCR-{number:02}" for number in range(1, 41)),
    *(f"UPL-{number:02}" for number in range(1, 46)),
    *(f"NET-{number:02}" for number in range(1, 24)),
}
_TEST: Final = re.compile(r"def (test_\w+)\(")
_ID: Final = re.compile(r"_((?:f|cp|i|a)\d+)(?=_|$)")
_LISTED: Final = re.compile(r"_(scr|upl|net)((?:_\d\d)+(?:_to_\d\d)?(?:_\d\d)*)(?=_|$)")
_QUOTED: Final = re.compile(r"(?<![\"'])[\"'](?:\w+[- ])?((?:F|CP|I|A)\d+|(?:SCR|UPL|NET)-\d\d)\b")
"""An id at the beginning of a text; not one that begins a docstring."""


def rows() -> list[tuple[str, str]]:
    """(id, state) of each line of the table."""
    return ROW.findall((Path(__file__).parent / "README.md").read_text(encoding="utf-8"))


def ids_of(name: str) -> Iterator[str]:
    """The ids in a test's name: `test_a09_net_23_…`, and of several `test_net_01_to_05_23_…`."""
    yield from (found.upper() for found in _ID.findall(name))
    for kind, numbers in _LISTED.findall(name):
        first: int | None = None
        for word in numbers.strip("_").split("_"):
            if word == "to":
                continue
            number = int(word)
            start = number if first is None or f"_to_{word}" not in numbers else first
            yield from (f"{kind.upper()}-{between:02}" for between in range(start, number + 1))
            first = number


@lru_cache
def ids_in_tests() -> set[str]:
    """Ids in names of tests (`test_f02_…`) and in ids of parameters (`"F02 …"`), except in this file."""
    found: set[str] = set()
    for path in TESTS.rglob("*.py"):
        if path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            found.update(id_ for name in _TEST.findall(text) for id_ in ids_of(name))
            found.update(_QUOTED.findall(text))
    return found


def test_table_has_each_case_once():
    ids = [id_ for id_, _ in rows()]

    assert len(ids) == len(set(ids))
    assert set(ids) == EXPECTED


def test_ids_are_found_in_names():
    assert set(ids_of("test_a09_net_23_no_call")) == {"A09", "NET-23"}
    assert set(ids_of("test_a03_scr_34_scr_35_a_bug")) == {"A03", "SCR-34", "SCR-35"}
    assert set(ids_of("test_net_01_to_03_23_a_host")) == {"NET-01", "NET-02", "NET-03", "NET-23"}
    assert set(ids_of("test_f52_f53_a_stream")) == {"F52", "F53"}


@pytest.mark.parametrize("id_", [id_ for id_, state in rows() if state == "now"])
def test_case_that_is_covered_now_has_its_test(id_: str):
    assert id_ in ids_in_tests()


@pytest.mark.parametrize("id_", [id_ for id_, state in rows() if state != "now" and "-" in id_])
def test_case_of_a_list_that_comes_later_has_no_test_yet(id_: str):
    """So that its line is changed with its test."""
    assert id_ not in ids_in_tests()
