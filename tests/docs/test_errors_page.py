"""docs/errors.md names every code that the engine and the expressions give to a step or a run."""

import re

from scripts.errors_page import STEP_ERRORS
from tests.architecture.sources import REPOSITORY

from flowforge.language.codes import CODES

PACKAGE = REPOSITORY / "src" / "flowforge"
GIVEN = re.compile(r"""(?:"code":\s*|(?:problem|ExpressionError)\(\s*)"([a-z_]+)\"""")


def find_given(*folders: str) -> set[str]:
    """Codes that are written in the source as the code of an error."""
    return {
        code for folder in folders for file in (PACKAGE / folder).rglob("*.py") for code in GIVEN.findall(file.read_text("utf-8"))
    }


def test_every_code_of_the_engine_is_on_the_page():
    assert find_given("engine") - set(STEP_ERRORS) == set()


def test_every_code_of_an_evaluation_is_on_the_page():
    assert find_given("language/expressions") - set(STEP_ERRORS) - set(CODES) == set()


def test_no_code_on_the_page_is_made_up():
    source = "".join(file.read_text("utf-8") for file in PACKAGE.rglob("*.py"))
    assert [code for code in STEP_ERRORS if f'"{code}"' not in source] == []
