"""docs/decisions and docs/glossary.md say what holds."""

import re
import tomllib

from tests.architecture.sources import REPOSITORY

DECISIONS = REPOSITORY / "docs" / "decisions"


def read_table(name: str) -> list[str]:
    """The first column of the first table of a page."""
    lines = (REPOSITORY / "docs" / name).read_text("utf-8").split("\n## ")[0].splitlines()
    return [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:]


def test_every_runtime_dependency_has_its_reason():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {"": project["dependencies"], **project["optional-dependencies"]}
    names = [
        re.split(r"[\[<>=!~; ]", package)[0] + (f" (extra `{extra}`)" if extra else "")
        for extra, packages in wanted.items()
        for package in packages
    ]
    assert read_table("decisions/dependencies.md") == sorted(names)


def test_every_decision_names_what_keeps_it_true():
    for page in DECISIONS.glob("*.md"):
        named = re.findall(r"`(tests/[a-z0-9_/]+(?:\.py)?)`", page.read_text("utf-8"))
        assert named, page
        assert all((REPOSITORY / path).exists() for path in named), page


def test_glossary_is_in_order_and_says_each_word_once():
    words = read_table("glossary.md")
    assert words == sorted(set(words))
    assert {"workflow", "version", "run", "step", "attempt", "operation", "trigger", "workspace", "approval", "task"} <= set(
        words
    )
