"""Links between pages lead somewhere, and pictures fetch nothing."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from scripts.draw_terminal import draw
from tests.architecture.sources import REPOSITORY
from tests.docs.blocks import list_pages

EXAMPLES = sorted((REPOSITORY / "examples").rglob("*.md"))
PAGES = [pytest.param(page, id=page.relative_to(REPOSITORY).as_posix()) for page in [*list_pages(), *EXAMPLES]]
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`[^`\n]*`")


def list_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def find_broken(page: Path) -> list[str]:
    text = SPAN.sub("", FENCE.sub("", page.read_text("utf-8")))
    broken: list[str] = []
    for target in LINK.findall(text):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        linked = page if not path else (page.parent / path).resolve()
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in list_anchors(linked)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page: Path):
    assert find_broken(page) == []


def test_broken_links_are_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](#one-thing) [b](#two) [c](nowhere.md) [d](https://example.com) `[e](f)`\n")
    assert find_broken(page) == ["#two", "nowhere.md"]


def list_linked(*pages: Path) -> set[Path]:
    return {
        (page.parent / target.partition("#")[0]).resolve() for page in pages for target in LINK.findall(page.read_text("utf-8"))
    }


def test_every_page_is_found_from_the_readme():
    pages = {page.resolve() for page in [*(REPOSITORY / "docs").rglob("*.md"), *EXAMPLES]}
    indexes = [
        REPOSITORY / "README.md",
        REPOSITORY / "docs" / "decisions" / "README.md",
        REPOSITORY / "docs" / "operations" / "README.md",
        REPOSITORY / "examples" / "README.md",
    ]
    linked = list_linked(*indexes)
    folders = {path / "README.md" for path in linked if path.is_dir()}
    assert pages - linked - folders == set()


@pytest.mark.parametrize("picture", sorted((REPOSITORY / "docs" / "pictures").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_are_whole_and_fetch_nothing(picture: Path):
    text = picture.read_text("utf-8")
    assert ET.fromstring(text).tag.endswith("svg")
    assert re.findall(r"href=|src=|@import|url\((?!#)", text) == []


def test_a_terminal_is_drawn_with_prompt_and_colours():
    drawn = draw("flowforge runs list", "\x1b[32m✓ done\x1b[0m\n")
    assert "runs&#160;list" in drawn
    assert "done" in drawn
    assert "#7ec077" in drawn
