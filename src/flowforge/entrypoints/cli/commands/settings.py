"""`flowforge settings`."""

from dataclasses import asdict

import typer

from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.kit.settings_source import describe_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_COLUMNS = (
    field("setting", "name", style="bold"),
    field("value", "value"),
    field("from", "origin"),
    field("default", "default"),
    field("meaning", "description"),
)


@app.command()
def settings(ctx: typer.Context) -> None:
    """All settings: value, origin, meaning.

    A setting comes from the environment (FLOWFORGE_<NAME>, or FLOWFORGE_<NAME>_FILE that names a file), else from config.toml in
    the data folder, else it is the default. Keys are never shown.
    """
    frame = frame_of(ctx)
    rows = describe_settings(frame.environ, data=frame.data)
    frame.output.write_rows([asdict(row) for row in rows], _COLUMNS)
