"""What the documentation shows works: workflows compile, commands print on a terminal what stands below them."""

import os
import re
import sys
from pathlib import Path

import pytest
from scripts.draw_terminal import Printed, run_on_terminal
from tests.architecture.sources import REPOSITORY
from tests.docs.blocks import list_pages, matches, read_blocks, read_commands

PAGES = [pytest.param(page, id=page.relative_to(REPOSITORY).as_posix()) for page in list_pages()]
BIN = Path(sys.executable).parent
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RUN_ID = re.compile(r"run_[0-9a-z]{26}")
NAMED = ("yaml", "yml", "json", "csv", "python", "toml")
"""Languages whose blocks become files where they have a name. A workflow that is meant to be wrong is `yml`: it is not validated."""


class Reader:
    """Someone who types what a page shows, in a new folder with a data folder of its own.

    `$RUN` is the id of the run that was seen last, as the pages say.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run_id = "run_none"

    def type(self, command: str) -> Printed:
        environment = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
            "FLOWFORGE_DATA": str(self._folder / "data"),
            "RUN": self._run_id,
        }
        # A documented line may hold quotes and pipes, as a person types it.
        done = run_on_terminal(["bash", "-c", f"set -o pipefail; {command}"], environment, self._folder)
        seen = RUN_ID.findall(done.stdout)
        self._run_id = seen[-1] if seen else self._run_id
        return Printed(COLOUR.sub("", done.stdout), done.stderr, done.exit_code)


def write_files(page: Path, folder: Path) -> list[str]:
    """Puts the blocks that have a name, and all workflows, into files as a reader would; returns the workflows' names."""
    workflows: list[str] = []
    for number, block in enumerate(read_blocks(page.read_text("utf-8"))):
        name = block.title or f"block{number}.yaml"
        if block.language in NAMED and (block.title or block.is_workflow):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block.text, "utf-8")
        if block.is_workflow:
            workflows.append(name)
    return workflows


@pytest.mark.slow(60)
@pytest.mark.parametrize("page", PAGES)
def test_workflows_of_a_page_are_valid(page: Path, tmp_path: Path):
    workflows = write_files(page, tmp_path)
    if workflows:
        done = Reader(tmp_path).type(f"flowforge validate {' '.join(workflows)}")
        assert done.exit_code == 0, done.stdout + done.stderr
    assert all((tmp_path / name).exists() for name in workflows)


@pytest.mark.slow(180)
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_print_what_is_shown(page: Path, tmp_path: Path):
    write_files(page, tmp_path)
    reader = Reader(tmp_path)
    wrong: list[str] = []
    for block in read_blocks(page.read_text("utf-8")):
        for command in read_commands(block) if block.language == "console" else []:
            done = reader.type(command.text)
            if done.exit_code != command.exit_code or not matches(command.shown, done.stdout):
                wrong.append(
                    f"line {command.line}: {command.text} ended with {done.exit_code} and printed\n{done.stdout}{done.stderr}"
                )
    assert wrong == []
