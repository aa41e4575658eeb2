"""What is under version control tells nothing of the machine on which it was written."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.architecture.sources import REPOSITORY

# Put together here, so that this file passes its own test.
MACHINE_PATHS = [rf"(?<![\w.$}}~-])(?<!sqlite:/)/{folder}/" for folder in ("work", "root", "home")]
REGISTRIES = ["pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs"]
UNWANTED = re.compile("|".join([*MACHINE_PATHS, *REGISTRIES]))


def find_unwanted(text: str) -> list[str]:
    return [f"line {number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if UNWANTED.search(line)]


def list_tracked() -> list[Path]:
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=True)
    return [REPOSITORY / name for name in done.stdout.split("\0") if name]


def test_tracked_files_name_no_machine_and_no_registry():
    found: list[str] = []
    for path in list_tracked():
        data = path.read_bytes() if path.is_file() else b""
        if b"\0" not in data:
            found += [f"{path.relative_to(REPOSITORY)} {line}" for line in find_unwanted(data.decode("utf-8", "replace"))]
    assert found == []


@pytest.mark.parametrize("text", ["see /wo" + "rk/x", "cd /ro" + "ot/x", "'/ho" + "me/me/x'", "https://py" + "pi.org/simple"])
def test_unwanted_text_is_found(text: str):
    assert len(find_unwanted(f"fine\n{text}\n")) == 1


@pytest.mark.parametrize("text", ["data/work/in", "$HOME/work/x", "a network", "~/home/x", "../work/x", "{root}/work/x"])
def test_other_text_passes(text: str):
    assert find_unwanted(text) == []


def test_nothing_is_tracked_that_an_editor_or_a_merge_left_behind():
    leftovers = (".orig", ".rej", ".bak", ".tmp", ".swp", "~")
    assert [path.name for path in list_tracked() if path.name.endswith(leftovers)] == []
