"""What every command is handed: the global options and the output."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from flowforge.entrypoints.cli.output import Output, is_stdout_terminal

if TYPE_CHECKING:
    from flowforge.kit.settings import Settings

ACTOR: Final = "user:local"
"""Who acts, on a machine without accounts."""
JSON_VARIABLE: Final = "FLOWFORGE_JSON"
QUIET_VARIABLE: Final = "FLOWFORGE_QUIET"
URL_VARIABLE: Final = "FLOWFORGE_URL"
TOKEN_VARIABLE: Final = "FLOWFORGE_TOKEN"  # noqa: S105 - a variable's name
WORKSPACE_VARIABLE: Final = "FLOWFORGE_WORKSPACE"

_TRUE: Final = ("1", "true", "on", "yes")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The server that a call names. `token` None: what `login` has stored; `workspace` None: the token's own."""

    url: str
    token: str | None = field(default=None, repr=False)
    workspace: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """`data`: the data folder that was named, None for the usual one. `is_json_asked`: by option or variable, not by a pipe.

    `server`: where the call is to work instead of on a data folder.
    """

    data: Path | None
    is_json_asked: bool
    output: Output
    environ: Mapping[str, str]
    server: ServerAddress | None = None

    def load_settings(self) -> "Settings":
        """The settings of this call.

        Raises:
            SettingsError: one of them is unknown or bad.
        """
        # pydantic takes a while to import, and help, completion and mistyped commands need no settings.
        from flowforge.kit.settings_source import load_settings

        return load_settings(self.environ, data=self.data)

    def list_given(self) -> Mapping[str, object]:
        """What this call says of settings, by their names, also where `load_settings` refuses it."""
        # As above.
        from flowforge.kit.settings_source import list_given

        return list_given(self.environ, data=self.data)


def make_frame(
    data: Path | None,
    *,
    is_json: bool,
    is_quiet: bool,
    environ: Mapping[str, str],
    server: ServerAddress | None = None,
) -> Frame:
    asked = is_json or environ.get(JSON_VARIABLE, "").lower() in _TRUE
    quiet = is_quiet or environ.get(QUIET_VARIABLE, "").lower() in _TRUE
    own = {JSON_VARIABLE, QUIET_VARIABLE, URL_VARIABLE, TOKEN_VARIABLE, WORKSPACE_VARIABLE}
    settings = {name: value for name, value in environ.items() if name not in own}
    return Frame(data, asked, Output(is_json=asked or not is_stdout_terminal(), is_quiet=quiet), settings, server)


def find_server(environ: Mapping[str, str], url: str | None, token: str | None, workspace: str | None) -> ServerAddress | None:
    """The server that the options name, or else the environment; None where neither does."""
    found = url or environ.get(URL_VARIABLE)
    if not found:
        return None
    return ServerAddress(
        found, token or environ.get(TOKEN_VARIABLE) or None, workspace or environ.get(WORKSPACE_VARIABLE) or None
    )


def frame_of(ctx: typer.Context) -> Frame:
    """The frame of the call that a command is part of."""
    frame = ctx.find_object(Frame)
    return frame if frame is not None else make_frame(None, is_json=False, is_quiet=False, environ=os.environ)
