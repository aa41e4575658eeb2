"""Reads what an operator deploys, and checks the commands and settings that are written there against the program itself."""

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from tests.architecture.sources import REPOSITORY
from typer._click.exceptions import ClickException, MissingParameter  # typer exports no name for its usage errors
from typer.main import get_command

from flowforge.entrypoints.cli.app import app, hoist_global_options
from flowforge.kit.settings_source import describe_settings

DEPLOY = REPOSITORY / "deploy"
SETTING = re.compile(r"\bFLOWFORGE_[A-Z0-9_]+\b")
_SPAN = re.compile(r"`flowforge ([^`]+)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_REDIRECTION = re.compile(r"\d?>{1,2}|<|\|\|?|&&|;")


def load_all(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


def load_one(path: Path) -> dict[str, Any]:
    (document,) = load_all(path)
    return document


def list_texts() -> list[Path]:
    """Everything below deploy/, and the page that goes with it."""
    found = [
        path for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts and "secrets" not in path.parts
    ]
    return [*sorted(found), REPOSITORY / "docs" / "cluster.md"]


@cache
def list_settings() -> frozenset[str]:
    names = {f"FLOWFORGE_{row.name.removeprefix('FLOWFORGE_')}" for row in describe_settings()}
    return frozenset(names | {f"{name}_FILE" for name in names})


def find_fault(args: list[str], *, is_name: bool = False) -> str | None:
    """Why the command line does not take these arguments; None: it does. Nothing is carried out.

    `is_name`: the text names a command, and need not say all that the command must be told.
    """
    command: Any = get_command(app)
    ctx = command.make_context("flowforge", [], resilient_parsing=True)
    rest = hoist_global_options(args)
    while rest and rest[0] in {"--json", "--quiet"}:
        rest.pop(0)
    while hasattr(command, "get_command"):
        if not rest:
            return f"{' '.join(args)}: a command is missing"
        name = rest.pop(0)
        if name.startswith("-"):
            return f"{' '.join(args)}: {name} stands before the command"
        command = command.get_command(ctx, name)
        if command is None:
            return f"{' '.join(args)}: there is no command {name}"
        ctx = command.make_context(name, [], parent=ctx, resilient_parsing=True)
    try:
        command.make_context(command.name, rest, parent=ctx.parent)
    except MissingParameter as fault:
        return None if is_name else f"{' '.join(args)}: {fault}"
    except ClickException as fault:
        return f"{' '.join(args)}: {fault}"
    return None


def list_spans(text: str) -> Iterator[list[str]]:
    """Arguments of each `flowforge …` in backticks; `a | b` and `…` are for people."""
    for span in _SPAN.findall(text):
        if "|" not in span and "…" not in span:
            yield shlex.split(span)


def list_lines(text: str) -> Iterator[list[str]]:
    """Arguments of each line of a shell block that calls flowforge, whatever settings stand before it."""
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _read_line(line)


def _read_line(line: str) -> Iterator[list[str]]:
    words = shlex.split(line.removeprefix("$ "), comments=True)
    command: list[str] = []
    for word in [*words, ";"]:
        if not _REDIRECTION.fullmatch(word):
            command.append(word)
            continue
        while command and (_ASSIGNMENT.fullmatch(command[0]) or command[0] in {"sudo", "exec"}):
            command.pop(0)
        if command and command[0] == "flowforge":
            yield [word.rstrip(";") for word in command[1:]]
        command = []


def list_pods() -> list[tuple[str, dict[str, Any]]]:
    """Each pod of the manifests: where it stands, and its specification."""
    found: list[tuple[str, dict[str, Any]]] = []
    for path, document in list_manifests():
        if document["kind"] in {"Deployment", "Job"}:
            found.append((f"{path.name}:{document['metadata']['name']}", document["spec"]["template"]["spec"]))
    return found


def list_manifests() -> list[tuple[Path, dict[str, Any]]]:
    """Every object for Kubernetes; values of charts and kustomizations are none."""
    return [
        (path, document)
        for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
        for document in load_all(path)
        if "kind" in document and document["kind"] != "Kustomization"
    ]


def list_containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", [*pod.get("initContainers", []), *pod["containers"]])
