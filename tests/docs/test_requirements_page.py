import re

from tests.architecture.sources import REPOSITORY

PAGE = (REPOSITORY / "tests" / "REQUIREMENTS.md").read_text("utf-8")
NAMED = re.findall(r"`(\w[\w/]*/\w+)(\.py)?(?:::(\w+))?`", PAGE)


def test_every_test_that_shows_a_requirement_is_there():
    missing = [f"{path}::{name}" for path, ending, name in NAMED if not is_there(path + ending, name)]
    assert len(NAMED) > 100
    assert missing == []


def is_there(path: str, name: str) -> bool:
    file = REPOSITORY / "tests" / path
    return file.is_dir() or (file.is_file() and (not name or re.search(rf"def {name}\(", file.read_text("utf-8")) is not None))
