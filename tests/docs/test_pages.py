"""What the documentation shows works: workflows compile, commands print what stands below them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.architecture.sources import REPOSITORY
from tests.docs.blocks import list_pages, matches, read_blocks, read_commands

PAGES = [pytest.param(page, id=page.relative_to(REPOSITORY).as_posix()) for page in list_pages()]
BIN = Path(sys.executable).parent


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "COLUMNS": "120",
        "FLOWFORGE_DATA": str(folder / "data"),
    }
    # A documented line may hold quotes and pipes, as a person types it.
    arguments = ["bash", "-c", f"set -o pipefail; {command}"]
    return subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=50, check=False)


def write_files(page: Path, folder: Path) -> list[str]:
    """Puts the blocks that have a name, and all workflows, into files as a reader would; returns the workflows' names."""
    workflows: list[str] = []
    for number, block in enumerate(read_blocks(page.read_text("utf-8"))):
        name = block.title or f"block{number}.yaml"
        if block.language in {"yaml", "json", "csv"} and (block.title or block.is_workflow):
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
        done = run(f"flowforge validate {' '.join(workflows)}", tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert all((tmp_path / name).exists() for name in workflows)


@pytest.mark.slow(180)
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_print_what_is_shown(page: Path, tmp_path: Path):
    write_files(page, tmp_path)
    wrong: list[str] = []
    for block in read_blocks(page.read_text("utf-8")):
        for command in read_commands(block) if block.language == "console" else []:
            done = run(command.text, tmp_path)
            if done.returncode != command.exit_code or not matches(command.shown, done.stdout):
                wrong.append(
                    f"line {command.line}: {command.text} ended with {done.returncode} and printed\n{done.stdout}{done.stderr}"
                )
    assert wrong == []
