"""`file.list`."""

from typing import Literal

from pydantic import Field

from flowforge.kit.paths import Entry, FileRoots
from flowforge.language.times import format_timestamp_ms
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import PATH_ERRORS, name_place, run_blocking


class ListParameters(StrictModel):
    """Which files to list."""

    root: str = Field(default="work", description="The name of a root that FILE_ROOTS configures.")
    path: str = Field(default="", description="A folder below the root; without it the root itself.")
    pattern: str = Field(
        default="*", description="Which names of files, such as `*.csv`; `*` and `?` stand for any characters and any one."
    )
    recursive: bool = Field(
        default=False, description="Whether files in folders below are listed too; folders themselves then are not."
    )
    limit: int = Field(default=10_000, ge=1, le=10_000, description="How many entries there may be; more fail the step.")


class ListedEntry(StrictModel):
    """A file or a folder."""

    path: str = Field(description="The path below the root.")
    name: str = Field(description="The last part of the path.")
    kind: Literal["file", "folder"] = Field(description="Which of the two it is.")
    size: int = Field(description="The size in bytes; 0 for a folder.")
    modified_at: str = Field(description="When it was last changed (RFC 3339, UTC).")


class ListResult(StrictModel):
    """What was found."""

    entries: list[ListedEntry] = Field(description="Files and folders, sorted by path.")


@operation(
    "file.list",
    title="List files",
    category="file",
    icon="folder-search",
    nature=Nature.EFFECT,
    errors=PATH_ERRORS,
    target=name_place,
    examples=(
        Example(
            "All JSON files of a folder",
            {"path": "orders", "pattern": "*.json"},
            {
                "entries": [
                    {
                        "path": "orders/42.json",
                        "name": "42.json",
                        "kind": "file",
                        "size": 9,
                        "modified_at": "2026-01-02T03:04:05Z",
                    }
                ]
            },
        ),
    ),
)
async def list_files(parameters: ListParameters, context: OperationContext) -> ListResult:
    """Lists files and folders below one of the configured roots, sorted by path. Links are left out."""
    roots = context.service(FileRoots)
    entries = await run_blocking(
        lambda: roots.list_entries(
            parameters.root,
            parameters.path,
            pattern=parameters.pattern,
            is_recursive=parameters.recursive,
            limit=parameters.limit,
        )
    )
    return ListResult(entries=[_show(entry) for entry in entries])


def _show(entry: Entry) -> ListedEntry:
    kind = "folder" if entry.is_folder else "file"
    return ListedEntry(
        path=entry.path,
        name=entry.path.rpartition("/")[2],
        kind=kind,
        size=entry.size_bytes,
        modified_at=format_timestamp_ms(entry.modified_at_ms),
    )
