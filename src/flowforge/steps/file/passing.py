"""Operations that take a file from a root or from another step, and give one to either."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.objects import FileValue, ObjectWriter
from flowforge.kit.paths import FileRoots, RootWriter
from flowforge.operations import FileInput, OperationContext, StrictModel, require_one
from flowforge.steps.file.access import guess_media_type, name_place, open_place
from flowforge.steps.stored import create_stored, find_stored, open_stored


class SourceParameters(StrictModel):
    """Which file: `path` below `root`, or a file value."""

    root: str = Field(default="work", description="The name of a root that FILE_ROOTS configures.")
    path: str | None = Field(default=None, description="The path of the file below the root.", min_length=1)
    file: FileInput | None = Field(default=None, description="A file value, as a step gave it; instead of `path`.")

    @model_validator(mode="after")
    def _check_one_source(self) -> "SourceParameters":
        require_one(self, "path", "file")
        return self


class MadeFile(StrictModel):
    """The file that was made: a file value, or below a root."""

    file: dict[str, pydantic.JsonValue] | None = Field(description="The file value; null if it was written below a root.")
    root: str | None = Field(description="The root; null for a file value.")
    path: str | None = Field(description="The path below the root; null for a file value.")
    size: int = Field(description="The size in bytes.")


def open_source(context: OperationContext, parameters: SourceParameters) -> tuple[BinaryIO, str]:
    """The file as a stream, which the caller closes, and its name.

    Raises:
        FatalError: `file_invalid`, `file_missing`.
        PathError: as FileRoots.
    """
    if parameters.file is not None:
        return open_stored(context, parameters.file), find_stored(parameters.file).name
    assert parameters.path is not None
    return open_place(context, parameters.root, parameters.path), parameters.path.rstrip("/").rpartition("/")[2]


class Target:
    """Where the bytes go. `finish` commits; leaving the block of `open_target` without it leaves nothing behind."""

    def __init__(self, writer: RootWriter | ObjectWriter, root: str, path: str | None) -> None:
        self._writer = writer
        self._root = root
        self._path = path

    def write(self, data: bytes, /) -> None:
        self._writer.write(data)

    def finish(self) -> MadeFile:
        made = self._writer.commit()
        if isinstance(made, FileValue):
            return MadeFile(file=made.to_json(), root=None, path=None, size=made.size_bytes)
        return MadeFile(file=None, root=self._root, path=self._path, size=self._writer.size_bytes)


@contextmanager
def open_target(
    context: OperationContext, root: str, path: str | None, *, name: str, mode: Literal["create", "replace"], media_type: str = ""
) -> Generator[Target]:
    """A new file at a path below a root, or, without a path, a file value of that name and media type (by default, the name's).

    Raises:
        PathError: as `FileRoots.create`.
        StorageError: the object store cannot take it.
    """
    if path is None:
        with create_stored(context, name=name, media_type=media_type or guess_media_type(name)) as writer:
            yield Target(writer, root, None)
    else:
        with context.service(FileRoots).create(root, path, replaces=mode == "replace") as writer:
            yield Target(writer, root, path)


def name_target(parameters: Mapping[str, Any]) -> str:
    """For the effects ledger: where the result goes, or else where the source is."""
    if parameters.get("to") is not None:
        return name_place({"root": parameters.get("to_root") or parameters.get("root") or "work", "path": parameters["to"]})
    return name_place(parameters) if parameters.get("path") is not None else "file value"
