"""The command `flowforge`: its global options, its commands, and the one place where errors become exit codes."""

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, NoReturn

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError  # typer exports no name for its usage errors
from typer.main import get_command

from flowforge import __version__
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.failures import (
    CommandFailedError,
    UsageError,
    describe_error,
    exit_code_of,
    find_request_id,
    format_error,
    record_bug,
)
from flowforge.entrypoints.cli.frame import Frame, find_server, make_frame
from flowforge.entrypoints.cli.lazy import LazyCommand, LazyGroup
from flowforge.kit.errors import FlowForgeError
from flowforge.kit.ids import make_id

_COMMANDS: Final = "flowforge.entrypoints.cli.commands"
_FLAGS: Final = ("--json", "--quiet", "-q")
_DATA: Final = "--data"
_VALUED: Final = (_DATA, "--url", "--workspace")
_TOKEN: Final = "--token"  # noqa: S105 - the option's name
_OWN_TOKEN: Final = "login"  # noqa: S105 - a command's name
"""The command whose own option is called so."""


class RootGroup(LazyGroup):
    """`flowforge` itself."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {
        "init": LazyCommand(f"{_COMMANDS}.init", "Make a folder with a first workflow, ready for your editor."),
        "validate": LazyCommand(f"{_COMMANDS}.validate", "Check workflow files: all faults at once, with line and column."),
        "run": LazyCommand(f"{_COMMANDS}.run", "Run a workflow file, or a published workflow by its name."),
        "up": LazyCommand(f"{_COMMANDS}.up", "Run the engine and the server on the data folder until they are told to stop."),
        "serve": LazyCommand(f"{_COMMANDS}.serve", "A server of a cluster: the API, without an engine."),
        "worker": LazyCommand(f"{_COMMANDS}.worker", "A worker of a cluster: carries runs on, and makes the jobs of its queues."),
        "scheduler": LazyCommand(
            f"{_COMMANDS}.scheduler", "A scheduler of a cluster: finds dead workers, due runs, what is stuck, what is old."
        ),
        "workflows": LazyCommand(f"{_COMMANDS}.workflows", "Drafts, versions, publishing, export."),
        "runs": LazyCommand(f"{_COMMANDS}.runs", "Look at runs, steer them, continue them."),
        "dead-letters": LazyCommand(
            f"{_COMMANDS}.dead_letters", "What was given up and waits for a person: runs, events, messages."
        ),
        "queues": LazyCommand(f"{_COMMANDS}.queues", "Show how much waits for workers, by queue and priority."),
        "workers": LazyCommand(f"{_COMMANDS}.workers", "Show who works here: what each has, and who leads."),
        "operations": LazyCommand(f"{_COMMANDS}.operations", "What a step can do: list, reference, call."),
        "secrets": LazyCommand(f"{_COMMANDS}.secrets", "Secrets of the workspace; values are never shown."),
        "variables": LazyCommand(f"{_COMMANDS}.variables", "Variables of the workspace."),
        "keyring": LazyCommand(f"{_COMMANDS}.keyring", "The keys that secrets are sealed with: rotate."),
        "schema": LazyCommand(f"{_COMMANDS}.schema", "The JSON Schema of workflow documents, or of an operation."),
        "settings": LazyCommand(f"{_COMMANDS}.settings", "All settings: value, origin, meaning."),
        "doctor": LazyCommand(f"{_COMMANDS}.doctor", "Say what is wrong with this machine, and how to mend it."),
        "db": LazyCommand(f"{_COMMANDS}.db", "The database: upgrade, check, roll back, copy to another."),
        "triggers": LazyCommand(f"{_COMMANDS}.triggers", "What starts workflows by itself: list, pause, look at its requests."),
        "users": LazyCommand(f"{_COMMANDS}.users", "People: make, list, disable, let in."),
        "keys": LazyCommand(f"{_COMMANDS}.keys", "API keys of the workspace."),
        "login": LazyCommand(f"{_COMMANDS}.login", "Sign in to a server."),
        "roles": LazyCommand(f"{_COMMANDS}.roles", "Roles: which there are, who has them; give and take them."),
        "access": LazyCommand(f"{_COMMANDS}.access", "Who may do what, and why."),
        "audit": LazyCommand(f"{_COMMANDS}.audit", "Who did what: list, export, verify, also offline."),
        "export": LazyCommand(f"{_COMMANDS}.export", "The workspace's configuration as one file, without secrets."),
        "import": LazyCommand(f"{_COMMANDS}.import_", "Bring in the configuration of another installation."),
        "backup": LazyCommand(f"{_COMMANDS}.backup", "Back up the database and files into one file, while work goes on."),
        "restore": LazyCommand(f"{_COMMANDS}.restore", "Bring a backup back."),
    }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, hoist_global_options(args))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002
        **extra: Any,
    ) -> Any:
        """Runs a command and leaves with its exit code; nothing may end the process with a stack trace."""
        del standalone_mode, windows_expand_args
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name or "flowforge", complete_var, standalone_mode=False, **extra)
        except CommandFailedError as failure:
            code = failure.exit_code
        except FlowForgeError as error:
            code = _tell(error, given)
        except NoArgsIsHelpError as error:
            typer.echo(error.format_message(), err=True)
            code = ExitCode.INVALID
        except ClickException as error:
            code = _tell(_explain_usage(error), given)
        except (KeyboardInterrupt, typer.Abort):
            code = ExitCode.INTERRUPTED
        except Exception as error:  # noqa: BLE001 - supervisor: a person never sees a stack trace
            code = _tell_bug(error, given)
        sys.exit(code if isinstance(code, int) else ExitCode.SUCCESS)


app = typer.Typer(
    name="flowforge",
    cls=RootGroup,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(value: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if value:
        typer.echo(f"flowforge {__version__}")
        raise typer.Exit


@app.callback()
def start(
    ctx: typer.Context,
    *,
    data: Annotated[
        Path | None, typer.Option("--data", help="The data folder [env: FLOWFORGE_DATA].", show_default=False)
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Work on this server, not on a data folder [env: FLOWFORGE_URL].", show_default=False),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            _TOKEN, help="An API key or access token; else what `login` stored [env: FLOWFORGE_TOKEN].", show_default=False
        ),
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace", help="A workspace of the server, by name or id [env: FLOWFORGE_WORKSPACE].", show_default=False
        ),
    ] = None,
    is_json: Annotated[bool, typer.Option("--json", help="JSON lines, also on a terminal [env: FLOWFORGE_JSON].")] = False,
    is_quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors [env: FLOWFORGE_QUIET].")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """FlowForge runs workflows that cannot be lost.

    On a terminal: tables and colour. Piped, or with --json: JSON lines on stdout, a row each.
    Exit codes: 0 success, 1 failed, 2 invalid input, 3 the run waits, 4 not found, 5 not permitted,
    6 conflict, 7 server or database unreachable, 70 our bug, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit
    server = find_server(os.environ, url, token, workspace)
    if server is None and (token or workspace):
        raise UsageError("--token and --workspace are for a server: name it with --url (or FLOWFORGE_URL).")
    ctx.obj = make_frame(data, is_json=is_json, is_quiet=is_quiet, environ=os.environ, server=server)


def hoist_global_options(args: Sequence[str]) -> list[str]:
    """Global options may stand behind the command too: `flowforge runs list --json`. What follows `--` stays where it is."""
    end = args.index("--") if "--" in args else len(args)
    hoisted: list[str] = []
    rest: list[str] = []
    index = 0
    while index < end:
        word = args[index]
        name, separator, _ = word.partition("=")
        is_valued = name in _VALUED or (name == _TOKEN and rest[:1] != [_OWN_TOKEN])
        if word in _FLAGS or (is_valued and separator):
            hoisted.append(word)
        elif is_valued and index + 1 < end:
            hoisted.extend(args[index : index + 2])
            index += 1
        else:
            rest.append(word)
        index += 1
    return [*hoisted, *rest, *args[end:]]


def _frame_for(args: Sequence[str]) -> Frame:
    """The frame for telling an error, which may have come before the options were read."""
    hoisted = hoist_global_options(args)
    data = next((Path(word) for flag, word in pairwise(hoisted) if flag == _DATA), None)
    return make_frame(data, is_json="--json" in hoisted, is_quiet=False, environ=os.environ)


def _tell(error: FlowForgeError, args: Sequence[str]) -> ExitCode:
    _frame_for(args).output.write_error(format_error(error), describe_error(error, find_request_id(error) or make_id("req")))
    return exit_code_of(error)


def _tell_bug(error: Exception, args: Sequence[str]) -> ExitCode:
    frame = _frame_for(args)
    request_id = make_id("req")
    data = frame.data or Path(os.environ.get("FLOWFORGE_DATA", "~/.local/share/flowforge"))
    told = record_bug(error, data.expanduser() / "logs", request_id)
    frame.output.write_error(format_error(told), describe_error(told, request_id))
    return ExitCode.BUG


def _explain_usage(error: ClickException) -> UsageError:
    command = getattr(error, "ctx", None)
    hint = f"Try `{command.command_path} --help`." if command is not None else ""
    return UsageError(error.format_message(), hint)


def main() -> None:
    """The console script."""
    # The modules of a server make a million objects that stay: looking through them again and again takes a fifth of its start.
    gc.set_threshold(50_000, 20, 20)
    try:
        get_command(app)()
    except SystemExit as leaving:
        if "obstore" in sys.modules:
            _leave_at_once(leaving.code)
        raise


def _leave_at_once(code: object) -> NoReturn:
    """Ends the process without taking the interpreter down, once everything that waits for the end has had its turn.

    Threads of obstore (Rust) let go of Python's objects a moment after their call has ended. One that does while the interpreter is
    taken down aborts the process, after a success too: 1 of 3 calls of `object.stat` ended with the code 134.
    """
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the interpreter's own end calls it, and nothing public does
    for stream in (sys.stdout, sys.stderr):
        # A pipe that nobody reads any more is no reason for another exit code.
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    main()
