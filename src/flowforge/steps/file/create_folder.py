"""`file.create_folder`."""

from pydantic import Field

from flowforge.kit.paths import FileRoots
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import PATH_ERRORS, PlaceParameters, name_place, run_blocking


class CreateFolderResult(StrictModel):
    """The folder."""

    root: str = Field(description="The root.")
    path: str = Field(description="The path below the root.")
    is_new: bool = Field(description="Whether it was not there before.")


@operation(
    "file.create_folder",
    title="Create a folder",
    category="file",
    icon="folder-plus",
    nature=Nature.EFFECT,
    errors=PATH_ERRORS,
    target=name_place,
    examples=(
        Example(
            "A folder for a month",
            {"path": "reports/2026/01"},
            {"root": "work", "path": "reports/2026/01", "is_new": True},
        ),
    ),
)
async def create_folder(parameters: PlaceParameters, context: OperationContext) -> CreateFolderResult:
    """Makes a folder, and those on the way to it. That it is there already is fine; a file of that name is an error."""
    roots = context.service(FileRoots)
    is_new = await run_blocking(lambda: roots.create_folder(parameters.root, parameters.path))
    return CreateFolderResult(root=parameters.root, path=parameters.path, is_new=is_new)
