"""What `file.copy` and `file.move` share."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from flowforge.kit.paths import FileRoots, TreeCount
from flowforge.operations import OperationContext, StrictModel
from flowforge.steps.file.access import PlaceParameters, name_place, run_blocking


class PlacingParameters(PlaceParameters):
    """Which file or folder goes where."""

    to: str = Field(description="The new path, its name included; folders on the way are made.", min_length=1)
    to_root: str | None = Field(default=None, description="The root of the new path; without it the same as `root`.")
    mode: Literal["create", "replace"] = Field(
        default="create",
        description="Whether what is at the new path is an error or is replaced; a folder with all that it holds.",
    )


class PlacedResult(StrictModel):
    """What is in the new place."""

    root: str = Field(description="The root of the new path.")
    path: str = Field(description="The new path.")
    file_count: int = Field(description="How many files it was.")
    folder_count: int = Field(description="How many folders, the named one included; 0 for a file.")
    size: int = Field(description="The size of all files in bytes.")


def name_placing(parameters: Mapping[str, Any]) -> str:
    """For the effects ledger."""
    root = parameters.get("to_root") or parameters.get("root", "work")
    return f"{name_place(parameters)} -> {root}:{parameters.get('to', '')}"


async def place(parameters: PlacingParameters, context: OperationContext, how: Literal["copy", "move"]) -> PlacedResult:
    """Copies or moves. Raises as `run_blocking`."""
    roots = context.service(FileRoots)
    to_root = parameters.to_root or parameters.root
    source, target = (parameters.root, parameters.path), (to_root, parameters.to)

    def work() -> TreeCount:
        go = roots.copy if how == "copy" else roots.move
        return go(source, target, replaces=parameters.mode == "replace")

    count = await run_blocking(work)
    return PlacedResult(
        root=to_root, path=parameters.to, file_count=count.files, folder_count=count.folders, size=count.size_bytes
    )
