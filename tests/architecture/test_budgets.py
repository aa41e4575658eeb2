import pytest
from tests.architecture.budgets import count_lines, find_budget_faults, measure_nesting
from tests.architecture.sources import Function, list_functions, list_sources, parse_source

NAME = "src/flowforge/engine/loop.py"


def first_function(text: str) -> Function:
    return next(function for _, function in list_functions(parse_source(NAME, text).tree))


def test_every_file_and_function_is_within_its_budget():
    assert [str(fault) for source in list_sources() for fault in find_budget_faults(source)] == []


@pytest.mark.parametrize(
    ("text", "nesting"),
    [
        ("def f(): pass", 0),
        ("def f():\n if a:\n  b()", 1),
        ("def f():\n if a:\n  b()\n elif c:\n  d()\n elif e:\n  g()\n else:\n  h()", 1),
        ("def f():\n if a:\n  b()\n else:\n  if c:\n   d()\n  e()", 2),
        ("def f():\n for a in b:\n  with c:\n   try:\n    while d: e()\n   except X: g()", 4),
        ("def f():\n if a:\n  def g():\n   if b: c()", 1),
    ],
)
def test_nesting_counts_blocks_inside_one_another(text: str, nesting: int):
    assert measure_nesting(first_function(text)) == nesting


def test_lines_of_a_function_leave_out_docstring_and_inner_functions():
    assert count_lines(first_function('@a\ndef f():\n """x\n\n y"""\n def g():\n  pass\n\n return g')) == 3


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (NAME, "\n" * 501, "the file has 501 lines, at most 500 are allowed"),
        ("tests/test_x.py", "\n" * 801, "the file has 801 lines, at most 800 are allowed"),
        (NAME, "def f():\n" + " g()\n" * 50, "f has 51 lines, at most 50 are allowed"),
        (NAME, "class A:\n def f(self, a, b, c, d, e, *g, h, i, **j): pass", "A.f has 9 parameters, at most 8 are allowed"),
        (NAME, "def f():\n if a:\n  if b:\n   if c:\n    if d: e()", "f has 4 levels of nesting, at most 3 are allowed"),
    ],
)
def test_what_is_beyond_its_budget_is_found(name: str, text: str, message: str):
    assert [fault.message for fault in find_budget_faults(parse_source(name, text))] == [message]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, "\n" * 500),
        ("tests/test_x.py", "\n" * 800),
        (NAME, "def f():\n" + " g()\n" * 49),
        (NAME, "class A:\n def f(self, a, b, c, d, e, *g, h, **j): pass"),
        (NAME, "def f():\n if a:\n  if b:\n   if c: e()"),
    ],
)
def test_what_is_just_within_its_budget_passes(name: str, text: str):
    assert list(find_budget_faults(parse_source(name, text))) == []
