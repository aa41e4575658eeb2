"""Which way a call goes: to a data folder, or to the server that `--url` names."""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, Final

import typer

from flowforge.entrypoints.cli.frame import frame_of

LOCAL: Final = frozenset({"init", "login"})
"""Commands that are about this machine, whatever server is named."""
_MARK: Final = "__is_switched__"


def switch_commands(app: typer.Typer, name: str) -> typer.Typer:
    """The commands of a module, each of which asks at its call where it is to work."""
    for command in app.registered_commands:
        local = command.callback
        if local is None or hasattr(local, _MARK):
            continue
        own = command.name or local.__name__.strip("_").replace("_", "-")
        is_alone = len(app.registered_commands) == 1 and app.info.no_args_is_help is not True
        command.callback = _switch(local, name if is_alone else f"{name} {own}")
    return app


def _switch(local: Callable[..., Any], path: str) -> Callable[..., Any]:
    @wraps(local)
    def call(**given: Any) -> Any:
        context: typer.Context = given["ctx"]
        frame = frame_of(context)
        if frame.server is None or path in LOCAL:
            return local(**given)
        # Most calls work on a data folder, and need no HTTP.
        return import_module("flowforge.entrypoints.cli.remote.table").call_remote(path, local, given)

    setattr(call, _MARK, True)
    return call
