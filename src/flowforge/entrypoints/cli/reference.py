"""The reference page of the command line, made from the commands themselves."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from flowforge.entrypoints.cli.app import app
from flowforge.entrypoints.cli.codes import ExitCode

_EXIT_MEANINGS = {
    ExitCode.SUCCESS: "success",
    ExitCode.FAILED: "the run failed, was cancelled or timed out, or a check did not pass",
    ExitCode.INVALID: "invalid input or usage",
    ExitCode.WAITING: "the run waits: for a person, a signal, or for a time beyond `--patience`",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.NOT_PERMITTED: "not permitted",
    ExitCode.CONFLICT: "conflict: the present state does not allow it",
    ExitCode.UNREACHABLE: "the database or the data folder cannot be used",
    ExitCode.BUG: "a mistake of ours; the details are in the data folder's `logs/cli.log`",
    ExitCode.INTERRUPTED: "interrupted",
}

_INTRODUCTION = """\
# Command line

Generated from the commands; `make generate` writes it anew.

Results go to stdout, progress and errors to stderr. On a terminal there are tables and colour; piped, or with `--json`, there are JSON
lines, a row each. `run`, `runs watch` and `runs continue` write an event each, and at last
`{"type": "result", "run_id", "status", "output", "error"}` (with `--quiet` only that). An error in JSON is
`{"error": {"code", "message", "details", "requestId"}}`.

Global options may stand before or behind the command. `flowforge --install-completion` completes commands and options in your shell.
"""


def render_cli_reference() -> str:
    """Markdown: exit codes, global options, then each command with its arguments and options."""
    root: Any = get_command(app)
    ctx = root.make_context("flowforge", [], resilient_parsing=True)
    lines = [_INTRODUCTION, "## Exit codes\n", "| code | meaning |", "|---|---|"]
    lines += [f"| {code.value} | {_EXIT_MEANINGS[code]} |" for code in ExitCode]
    lines += ["\n## Global options\n", *_render_options(root, ctx)]
    for name in root.list_commands(ctx):
        lines += _render_command(root.get_command(ctx, name), f"flowforge {name}", ctx)
    return "\n".join(lines) + "\n"


def _render_command(command: Any, path: str, parent: Any) -> Iterator[str]:
    ctx = command.make_context(path, [], parent=parent, resilient_parsing=True)
    inner: dict[str, Any] = getattr(command, "commands", {})
    if inner:
        yield f"\n## `{path}`\n\n{_clean(command.help)}"
        for name, sub in inner.items():
            yield from _render_leaf(sub, f"{path} {name}", sub.make_context(name, [], parent=ctx, resilient_parsing=True), "###")
    else:
        yield from _render_leaf(command, path, ctx, "##")


def _render_leaf(command: Any, path: str, ctx: Any, mark: str) -> Iterator[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument" and not parameter.hidden]
    shown = " ".join([path, *(_show_argument(argument) for argument in arguments)])
    yield f"\n{mark} `{shown}`\n\n{_clean(command.help)}"
    described = [(_show_argument(argument), argument.help) for argument in arguments if argument.help]
    if described:
        yield "\n| argument | |\n|---|---|"
        yield from (f"| `{_escape(name)}` | {_escape(help_)} |" for name, help_ in described)
    options = list(_render_options(command, ctx))
    if options:
        yield ""
        yield from options


def _show_argument(argument: Any) -> str:
    name = str(argument.metavar or argument.name.upper())
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _render_options(command: Any, ctx: Any) -> Iterator[str]:
    rows = [
        record
        for parameter in command.get_params(ctx)
        if parameter.param_type_name == "option" and "--help" not in parameter.opts and (record := parameter.get_help_record(ctx))
    ]
    if rows:
        yield "| option | |\n|---|---|"
        yield from (f"| `{_escape(names)}` | {_escape(help_)} |" for names, help_ in rows)


def _clean(text: str | None) -> str:
    return "\n".join(line.strip() for line in (text or "").strip().splitlines())


def _escape(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
