"""`file.copy`."""

from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.file.access import PATH_ERRORS, PATH_INSIDE, WRITE_ERRORS
from flowforge.steps.file.placing import PlacedResult, PlacingParameters, name_placing, place


@operation(
    "file.copy",
    title="Copy a file or folder",
    category="file",
    icon="copy",
    nature=Nature.EFFECT,
    errors=(*PATH_ERRORS, *WRITE_ERRORS, PATH_INSIDE),
    target=name_placing,
    examples=(
        Example(
            "Keep a copy of a file in another root",
            {"path": "orders/42.json", "to": "archive/42.json", "to_root": "other", "mode": "replace"},
            {"root": "other", "path": "archive/42.json", "file_count": 1, "folder_count": 0, "size": 9},
        ),
        Example(
            "Copy a folder",
            {"path": "orders", "to": "orders-2026"},
            {"root": "work", "path": "orders-2026", "file_count": 2, "folder_count": 1, "size": 10},
        ),
    ),
)
async def copy(parameters: PlacingParameters, context: OperationContext) -> PlacedResult:
    """Copies a file, or a folder with all files and folders in it, below one root or to another.

    The copy is there whole or not at all, and has the permissions of the original. Links, pipes and devices in a folder are left out.
    """
    return await place(parameters, context, "copy")
