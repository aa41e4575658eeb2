"""`file.stat`."""

from typing import Literal

from pydantic import Field

from flowforge.kit.paths import FileRoots
from flowforge.language.times import format_timestamp_ms
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import PATH_ERRORS, PlaceParameters, name_place, run_blocking


class StatResult(StrictModel):
    """What is known of a path."""

    exists: bool = Field(description="Whether there is a file or folder.")
    kind: Literal["file", "folder"] | None = Field(description="Which of the two it is; null if there is none.")
    size: int | None = Field(description="The size in bytes; 0 for a folder, null if there is none.")
    modified_at: str | None = Field(description="When it was last changed (RFC 3339, UTC); null if there is none.")


@operation(
    "file.stat",
    title="Look at a file or folder",
    category="file",
    icon="file-search",
    nature=Nature.EFFECT,
    errors=PATH_ERRORS,
    target=name_place,
    examples=(
        Example(
            "Is there a file, and how large is it?",
            {"path": "orders/42.json"},
            {"exists": True, "kind": "file", "size": 9, "modified_at": "2026-01-02T03:04:05Z"},
        ),
        Example(
            "One that is not there",
            {"path": "orders/43.json"},
            {"exists": False, "kind": None, "size": None, "modified_at": None},
        ),
    ),
)
async def look(parameters: PlaceParameters, context: OperationContext) -> StatResult:
    """Tells whether there is a file or folder at a path, its size and when it was changed. That there is none is a result, no error."""
    roots = context.service(FileRoots)
    entry = await run_blocking(lambda: roots.find(parameters.root, parameters.path))
    if entry is None:
        return StatResult(exists=False, kind=None, size=None, modified_at=None)
    kind = "folder" if entry.is_folder else "file"
    return StatResult(exists=True, kind=kind, size=entry.size_bytes, modified_at=format_timestamp_ms(entry.modified_at_ms))
