"""A group of commands whose modules are imported when one of them is called, so that `--help` and each command start fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, cast

from typer._click.shell_completion import CompletionItem  # typer exports no name for it
from typer.core import TyperGroup
from typer.main import get_command

from flowforge.entrypoints.cli.remote.switch import switch_commands


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives (a module with a `typer.Typer` named `app`) and the line that help shows for it."""

    module: str
    help: str


class LazyGroup(TyperGroup):
    """Subclasses say what there is; help and completion of names need no import."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # The base class suggests from these names where a command is mistyped; it never sees the values.
        self.commands = cast("Any", dict.fromkeys(self.lazy))
        self._loaded: dict[str, Any] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(self.lazy)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        entry = self.lazy.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self._loaded:
            command = get_command(switch_commands(import_module(entry.module).app, cmd_name))
            command.name = cmd_name
            self._loaded[cmd_name] = command
        return self._loaded[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.lazy.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=entry.help) for name, entry in self.lazy.items() if name.startswith(incomplete)]
        if names or not incomplete.startswith("-"):
            return names
        options = [option for parameter in self.get_params(ctx) for option in parameter.opts if option.startswith(incomplete)]
        return [CompletionItem(option) for option in options]
