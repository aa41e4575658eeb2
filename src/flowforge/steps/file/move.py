"""`file.move`."""

from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.file.access import PATH_ERRORS, PATH_INSIDE, WRITE_ERRORS
from flowforge.steps.file.placing import PlacedResult, PlacingParameters, name_placing, place


@operation(
    "file.move",
    title="Move a file or folder",
    category="file",
    icon="folder-output",
    nature=Nature.EFFECT,
    errors=(*PATH_ERRORS, *WRITE_ERRORS, PATH_INSIDE),
    target=name_placing,
    examples=(
        Example(
            "Put a file away when it is done",
            {"path": "orders/42.json", "to": "done/42.json"},
            {"root": "work", "path": "done/42.json", "file_count": 1, "folder_count": 0, "size": 9},
        ),
    ),
)
async def move(parameters: PlacingParameters, context: OperationContext) -> PlacedResult:
    """Moves or renames a file, or a folder with all that it holds, below one root or to another.

    On one disk this is a change of name, at once. To another disk everything is copied first, and the original deleted after that.
    """
    return await place(parameters, context, "move")
