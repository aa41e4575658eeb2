"""What every command is handed: the global options and the output."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
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

_TRUE: Final = ("1", "true", "on", "yes")


@dataclass(frozen=True, slots=True)
class Frame:
    """`data`: the data folder that was named, None for the usual one. `is_json_asked`: by option or variable, not by a pipe."""

    data: Path | None
    is_json_asked: bool
    output: Output
    environ: Mapping[str, str]

    def load_settings(self) -> "Settings":
        """The settings of this call.

        Raises:
            SettingsError: one of them is unknown or bad.
        """
        # pydantic takes a while to import, and help, completion and mistyped commands need no settings.
        from flowforge.kit.settings_source import load_settings

        return load_settings(self.environ, data=self.data)


def make_frame(data: Path | None, *, is_json: bool, is_quiet: bool, environ: Mapping[str, str]) -> Frame:
    asked = is_json or environ.get(JSON_VARIABLE, "").lower() in _TRUE
    quiet = is_quiet or environ.get(QUIET_VARIABLE, "").lower() in _TRUE
    own = {JSON_VARIABLE, QUIET_VARIABLE}
    settings = {name: value for name, value in environ.items() if name not in own}
    return Frame(data, asked, Output(is_json=asked or not is_stdout_terminal(), is_quiet=quiet), settings)


def frame_of(ctx: typer.Context) -> Frame:
    """The frame of the call that a command is part of."""
    frame = ctx.find_object(Frame)
    return frame if frame is not None else make_frame(None, is_json=False, is_quiet=False, environ=os.environ)
