"""`file.zip`."""

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from pydantic import Field, model_validator

from flowforge.kit.paths import FileRoots, PathError, PathFault
from flowforge.kit.values import JsonObject
from flowforge.operations import ErrorCode, Example, FileInput, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import open_place
from flowforge.steps.file.packing import PACK_ERRORS, TargetParameters, explain_packing
from flowforge.steps.file.passing import MadeFile, Target, name_target, open_target
from flowforge.steps.stored import find_stored, open_stored


class PackedFile(StrictModel):
    """A file value, and its path in the archive."""

    file: FileInput = Field(description="The file value, as a step gave it.")
    name: str | None = Field(
        default=None, description="The path in the archive: names joined by `/`; without it the file's own name.", min_length=1
    )


class ZipSource(StrictModel):
    """What to pack."""

    root: str = Field(default="work", description="The name of a root that FILE_ROOTS configures.")
    paths: list[str] = Field(
        default_factory=list[str],
        description="Files and folders below the root; a folder with all that it holds.",
        max_length=1_000,
    )
    pattern: str = Field(
        default="*",
        description="Which files of folders, such as `*.csv`; with a `/` in it, it is held against the path in the folder.",
    )
    include_folder: bool = Field(
        default=True,
        description="Whether a folder's own name is a part of the paths in the archive, or only those of what it holds.",
    )
    files: list[PackedFile] = Field(default_factory=list[PackedFile], description="File values to pack.", max_length=1_000)

    @model_validator(mode="after")
    def _check_source(self) -> "ZipSource":
        if not self.paths and not self.files:
            raise ValueError("give at least one of paths and files")
        return self


class ZipParameters(TargetParameters, ZipSource):
    """What to pack, and where to."""

    name: str = Field(default="archive.zip", description="The name of the archive, if it is a file value.", min_length=1)
    compression: Literal["deflate", "store"] = Field(
        default="deflate", description="Whether files are made smaller; `store` is for what is packed already."
    )
    level: int = Field(default=6, ge=1, le=9, description="How hard to try: 1 is fast, 9 gives the smallest file.")


class ZipResult(MadeFile):
    """The archive."""

    file_count: int = Field(description="How many files it holds.")


@dataclass(frozen=True, slots=True)
class _Item:
    """One entry: a file below the root, a file value, or (neither) a folder."""

    name: str
    path: str | None = None
    value: JsonObject | None = None
    size_bytes: int = 0
    field: str = ""
    """The parameter that gave the file value."""

    @property
    def is_folder(self) -> bool:
        return self.path is None and self.value is None


@operation(
    "file.zip",
    title="Pack files into a zip archive",
    category="file",
    icon="package",
    nature=Nature.HEAVY,
    errors=(
        *PACK_ERRORS,
        ErrorCode("zip_path", "A name is no plain path that an archive could hold."),
        ErrorCode("zip_duplicate", "Two files would have the same path in the archive."),
        ErrorCode("zip_entries", "There are more files than LIMIT_ZIP_ENTRIES allows."),
    ),
    target=name_target,
    examples=(
        Example(
            "Pack the JSON files of a folder",
            {"paths": ["orders"], "pattern": "*.json", "to": "out/orders.zip"},
            {"file": None, "root": "work", "path": "out/orders.zip", "size": 153, "file_count": 1},
        ),
    ),
)
def pack(parameters: ZipParameters, context: OperationContext) -> ZipResult:
    """Packs files and folders, or file values, into a zip archive: a file value, or a file below a root.

    The same files give the same bytes: entries are sorted, and times are not kept. Links in folders are left out. Archives and files
    larger than 4 GiB are fine.
    """
    # Start-up cost: as in `explain_packing`.
    from flowforge.kit.archives import ArchiveError, ArchiveFault, check_entry_path, check_names

    with explain_packing():
        items = sorted(_list_items(parameters, context), key=lambda item: item.name)
        if len(items) > context.limits.zip_entries:
            raise ArchiveError(
                ArchiveFault.ENTRIES,
                f"There are {len(items)} files to pack; at most {context.limits.zip_entries} can be (LIMIT_ZIP_ENTRIES).",
            )
        for item in items:
            check_entry_path(item.name)
        check_names((item.name, item.is_folder) for item in items)
        with open_target(
            context,
            parameters.to_root or parameters.root,
            parameters.to,
            name=parameters.name,
            mode=parameters.mode,
            media_type="application/zip",
        ) as target:
            _write(items, parameters, context, target)
            made = target.finish()
    return ZipResult(**dict(made), file_count=sum(not item.is_folder for item in items))


def _write(items: list[_Item], parameters: ZipParameters, context: OperationContext, target: Target) -> None:
    # Start-up cost: as in `explain_packing`.
    from flowforge.kit.archives import ArchiveWriter

    with ArchiveWriter(target, parameters.compression, parameters.level) as archive:
        for item in items:
            if item.is_folder:
                archive.add_folder(item.name)
                continue
            with _open_item(parameters, context, item) as file:
                archive.add_file(item.name, file, item.size_bytes)


def _open_item(parameters: ZipParameters, context: OperationContext, item: _Item) -> BinaryIO:
    if item.value is not None:
        return open_stored(context, item.value, item.field)
    assert item.path is not None
    return open_place(context, parameters.root, item.path)


def _list_items(parameters: ZipParameters, context: OperationContext) -> Iterator[_Item]:
    for index, packed in enumerate(parameters.files):
        field = f"files[{index}].file"
        facts = find_stored(packed.file, field)
        yield _Item(packed.name or facts.name, value=packed.file, size_bytes=facts.size_bytes, field=field)
    roots = context.service(FileRoots)
    for path in parameters.paths:
        entry = roots.find(parameters.root, path)
        if entry is None:
            raise PathError(PathFault.MISSING, f"There is no {path!r}.")
        name = entry.path.rpartition("/")[2]
        if entry.is_folder:
            yield from _list_folder(parameters, roots, entry.path, name, context.limits.zip_entries)
        else:
            yield _Item(name, path=entry.path, size_bytes=entry.size_bytes)


def _list_folder(parameters: ZipParameters, roots: FileRoots, path: str, name: str, limit: int) -> Iterator[_Item]:
    prefix = f"{name}/" if parameters.include_folder else ""
    found = roots.list_entries(
        parameters.root, path, pattern="*", is_recursive=True, limit=max(limit, 10_000), shows_folders=parameters.pattern == "*"
    )
    filled = {entry.path.rpartition("/")[0] for entry in found}
    if path not in filled and prefix and parameters.pattern == "*":
        yield _Item(name)
    for entry in found:
        below = entry.path.removeprefix(f"{path}/")
        if entry.is_folder:
            if entry.path not in filled:
                yield _Item(prefix + below)
        elif matches(parameters.pattern, below):
            yield _Item(prefix + below, path=entry.path, size_bytes=entry.size_bytes)


def matches(pattern: str, path: str) -> bool:
    """Whether the name of a file, or with a `/` in the pattern its whole path, is of the pattern."""
    return fnmatch.fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], pattern)
