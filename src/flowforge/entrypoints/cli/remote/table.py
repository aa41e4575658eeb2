"""Which commands speak to a server, and with which function."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import typer

from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.remote.connection import open_server
from flowforge.kit.errors import InvariantError

_PACKAGE: Final = "flowforge.entrypoints.cli.remote"

REMOTE: Final[Mapping[str, str]] = {
    "run": "starting.run",
    "validate": "documents.validate",
    **{
        f"runs {name}": f"looking.{name}"
        for name in ("list", "show", "watch", "events", "logs", "why", "effects", "tree", "diagnose", "export")
    },
    **{
        f"runs {name}": f"steering.{name}"
        for name in ("cancel", "pause", "resume", "retry", "skip", "resolve", "signal", "edit", "change")
    },
    **{
        f"workflows {name}": f"workflows.{name}"
        for name in ("list", "show", "publish", "versions", "diff", "docs", "export", "deprecate", "delete", "restore")
    },
    "workflows push": "documents.push",
    **{f"operations {name}": f"operations.{name}" for name in ("list", "show", "schema", "call", "test")},
    **{f"secrets {name}": f"vault.{name}_secret" for name in ("list", "set", "delete")},
    **{f"variables {name}": f"vault.{name}_variable" for name in ("list", "set", "delete")},
    "keyring rotate": "vault.rotate",
    "queues": "staff.queues",
    "workers": "staff.workers",
    **{f"dead-letters {name}": f"letters.{name}" for name in ("list", "show", "redrive", "discard")},
    **{
        f"triggers {name}": f"triggers.{name}"
        for name in ("list", "types", "show", "pause", "resume", "requests", "events", "discard", "stats", "fire", "test", "run")
    },
    **{f"triggers {name}": f"triggers.{name}" for name in ("create", "change", "delete")},
    **{f"keys {name}": f"people.{name}_key" for name in ("create", "list", "revoke", "show", "rename", "usage")},
    **{
        f"users {name}": f"people.{name}_user"
        for name in ("create", "list", "link", "disable", "enable", "show", "delete", "restore", "sessions")
    },
    "users sign-out": "people.sign_out_user",
    "access explain": "rights.explain_access",
    "access who-can": "rights.find_who_can_access",
    **{f"roles {name}": f"rights.{name}_role" for name in ("list", "show", "given", "give", "take")},
    **{f"audit {name}": f"audit.{name}" for name in ("list", "show", "checkpoints", "export", "verify")},
}
"""By the words of the command; a function by its module and its name, where a name of Python has a `_` behind it."""


def find_remote(path: str) -> Callable[..., None] | None:
    """The function of a command on a server."""
    place = REMOTE.get(path)
    if place is None:
        return None
    module_name, _, name = place.partition(".")
    module = import_module(f"{_PACKAGE}.{module_name}")
    found = getattr(module, f"{name}_", None) or getattr(module, name, None)
    if found is None:
        raise InvariantError(f"{place} is not there.")
    return found


def call_remote(path: str, local: Callable[..., Any], given: dict[str, Any]) -> None:
    """Calls a command on the server of the call.

    Raises:
        UsageError: it has no form there.
        FlowForgeError: as the command does.
    """
    context: typer.Context = given.pop("ctx")
    frame = frame_of(context)
    if path == "audit verify" and given.get("file") is not None:
        # A file is looked at here, without anybody's help.
        local(ctx=context, **given)
        return
    remote = find_remote(path)
    if remote is None or frame.server is None:
        raise UsageError(f"`flowforge {path}` works on a data folder only: leave --url (or FLOWFORGE_URL) out.")
    with open_server(frame, frame.server) as server:
        remote(server=server, **given)
