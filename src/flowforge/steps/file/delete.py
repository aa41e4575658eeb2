"""`file.delete`."""

from typing import Literal

from pydantic import Field

from flowforge.kit.paths import FileRoots, PathError, PathFault, TreeCount
from flowforge.operations import ErrorCode, Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import PATH_ERRORS, PlaceParameters, name_place, run_blocking


class DeleteParameters(PlaceParameters):
    """What to delete."""

    recursive: bool = Field(default=False, description="Whether a folder is deleted with all that it holds.")
    missing: Literal["fail", "skip"] = Field(default="fail", description="Whether it is an error that there is nothing, or fine.")


class DeleteResult(StrictModel):
    """What was deleted."""

    is_deleted: bool = Field(description="Whether there was something.")
    kind: Literal["file", "folder"] | None = Field(description="What it was; null if there was nothing.")
    file_count: int = Field(description="How many files are gone.")
    folder_count: int = Field(description="How many folders are gone.")
    size: int = Field(description="The size of these files in bytes.")


@operation(
    "file.delete",
    title="Delete a file or folder",
    category="file",
    icon="trash-2",
    nature=Nature.EFFECT,
    errors=(*PATH_ERRORS, ErrorCode("folder_not_empty", "The folder holds something, and `recursive` is not set.")),
    target=name_place,
    examples=(
        Example(
            "Delete a file",
            {"path": "orders/notes.txt"},
            {"is_deleted": True, "kind": "file", "file_count": 1, "folder_count": 0, "size": 1},
        ),
        Example(
            "Delete a folder that may be gone already",
            {"path": "drafts", "recursive": True, "missing": "skip"},
            {"is_deleted": False, "kind": None, "file_count": 0, "folder_count": 0, "size": 0},
        ),
    ),
)
async def delete(parameters: DeleteParameters, context: OperationContext) -> DeleteResult:
    """Deletes a file, an empty folder, or with `recursive` a folder with all that it holds.

    Links inside the folder are deleted, and what they lead to is not touched. There is no way back.
    """
    roots = context.service(FileRoots)
    count = await run_blocking(lambda: _delete(roots, parameters))
    if count is None:
        return DeleteResult(is_deleted=False, kind=None, file_count=0, folder_count=0, size=0)
    return DeleteResult(
        is_deleted=True,
        kind="folder" if count.folders else "file",
        file_count=count.files,
        folder_count=count.folders,
        size=count.size_bytes,
    )


def _delete(roots: FileRoots, parameters: DeleteParameters) -> TreeCount | None:
    try:
        return roots.delete(parameters.root, parameters.path, is_recursive=parameters.recursive)
    except PathError as error:
        is_gone = error.fault is PathFault.MISSING and roots.find(parameters.root, parameters.path) is None
        if parameters.missing == "skip" and is_gone:
            return None
        raise
