"""The floors and walls of docs/architecture.md, kept by import-linter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.architecture.sources import REPOSITORY

CONTRACTS = REPOSITORY / ".importlinter"
FLOORS = (
    "kit",
    "operations",
    "language",
    "engine",
    "steps",
    "cluster",
    "web",
    "audit",
    "identity",
    "vault",
    "configuration",
    "files",
    "workflows",
    "runs",
    "triggers",
    "toolbox",
    "system",
    "live",
    "upkeep",
    "entrypoints",
)

LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def lint(folder: Path, package_parent: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package_parent), "COLUMNS": "120"}
    command = [sys.executable, "-c", LINT]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=25, check=False)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with the same floors and nothing in them, and this repository's contracts."""
    (tmp_path / ".importlinter").write_text(CONTRACTS.read_text())
    modules = [*FLOORS, "engine/machine", "kit/database", "kit/egress", "kit/telemetry", "kit/secret"]
    for module in ("", *modules):
        (tmp_path / "flowforge" / module).mkdir(parents=True)
        (tmp_path / "flowforge" / module / "__init__.py").write_text("")
    for name in ("atomic", "clock", "folder", "keyring", "lock", "objects", "settings", "settings_source"):
        (tmp_path / "flowforge" / "kit" / f"{name}.py").write_text("")
    for domain in ("audit", "identity", "vault", "workflows", "runs"):
        for name in ("repository", "models", "models_accounts", "models_roles", "service", "types", "errors"):
            (tmp_path / "flowforge" / domain / f"{name}.py").write_text("")
    return tmp_path


def test_every_import_goes_down():
    done = lint(REPOSITORY, REPOSITORY / "src")
    assert done.returncode == 0, done.stdout


def test_empty_floors_pass(package: Path):
    done = lint(package, package)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("kit/clock.py", "import flowforge.engine", "Each floor imports only from those below it"),
        ("steps/__init__.py", "import flowforge.vault", "Each floor imports only from those below it"),
        ("language/__init__.py", "import sqlite3", "The pure packages reach no I/O"),
        (
            "kit/secret/__init__.py",
            "import socket\nimport flowforge.kit.border",
            "The pure packages reach no I/O",
        ),
        ("engine/machine/__init__.py", "import flowforge.kit.clock", "The pure packages get clock"),
        (
            "runs/service.py",
            "import flowforge.vault.repository",
            "A domain is used by its service, types and errors only",
        ),
        ("vault/types.py", "import flowforge.vault.errors", "Nothing imports itself in a circle"),
    ],
)
def test_import_through_a_wall_is_found(package: Path, module: str, line: str, contract: str):
    (package / "flowforge" / "kit" / "border.py").write_text("")
    (package / "flowforge" / "operations" / "__init__.py").write_text("import flowforge.kit.secret")
    (package / "flowforge" / "vault" / "errors.py").write_text("import flowforge.vault.types")
    (package / "flowforge" / module).write_text(line)
    done = lint(package, package)
    assert done.returncode == 1, done.stderr
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert len(broken) == 1
    assert broken[0].startswith(contract)
