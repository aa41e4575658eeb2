"""`file.unzip`."""

import contextlib
from typing import TYPE_CHECKING, Literal

import pydantic
from pydantic import Field

from flowforge.kit.objects import FileValue, ObjectStore, ObjectWriter
from flowforge.kit.paths import FileRoots, FolderMode, RootWriter
from flowforge.operations import ErrorCode, Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import guess_media_type
from flowforge.steps.file.packing import GROWTH_ERRORS, PACK_ERRORS, explain_packing
from flowforge.steps.file.passing import SourceParameters, name_target, open_source
from flowforge.steps.file.zip import matches
from flowforge.steps.stored import create_stored

if TYPE_CHECKING:
    from flowforge.kit.archives import ArchiveEntry, ArchiveReader

NameEncoding = Literal["cp437", "utf-8", "windows-1252", "latin-1", "shift_jis", "gbk", "big5", "euc-kr", "koi8-r", "cp866"]


class UnzipParameters(SourceParameters):
    """Which archive, what of it, and where to."""

    to: str | None = Field(
        default=None,
        description="The folder below `to_root` that the files go to; without it each file becomes a file value.",
        min_length=1,
    )
    to_root: str | None = Field(default=None, description="The root of the folder; without it the same as `root`.")
    mode: Literal["create", "replace", "merge"] = Field(
        default="create",
        description="What becomes of a folder that is there: an error, replaced with all that it holds, or the new files put into it.",
    )
    pattern: str = Field(
        default="*",
        description="Which files, such as `*.csv`; with a `/` in it, it is held against the whole path in the archive.",
    )
    encoding: NameEncoding = Field(
        default="cp437", description="The encoding of names that the archive does not mark as UTF-8, as old programs write them."
    )


class UnzippedFile(StrictModel):
    """A file that was in the archive."""

    path: str = Field(description="The path in the archive, and below the folder.")
    size: int = Field(description="The size in bytes.")
    file: dict[str, pydantic.JsonValue] | None = Field(description="The file value; null if it was written below a root.")


class UnzipResult(StrictModel):
    """What was unpacked."""

    root: str | None = Field(description="The root; null for file values.")
    path: str | None = Field(description="The folder below the root; null for file values.")
    files: list[UnzippedFile] = Field(description="The files, in the order of the archive.")
    size: int = Field(description="The size of all files in bytes.")


@operation(
    "file.unzip",
    title="Unpack a zip archive",
    category="file",
    icon="package-open",
    nature=Nature.HEAVY,
    errors=(
        *PACK_ERRORS,
        *GROWTH_ERRORS,
        ErrorCode("zip_entries", "The archive has more entries than LIMIT_ZIP_ENTRIES allows."),
        ErrorCode("zip_overlap", "Entries of the archive share their bytes, which only attacks do."),
        ErrorCode("zip_path", "An entry has a path that leads out of the folder, or that no folder can hold."),
        ErrorCode("zip_link", "An entry is a link or a device."),
        ErrorCode("zip_duplicate", "Two entries have the same path, or paths that differ only in case or Unicode form."),
    ),
    target=name_target,
    examples=(
        Example(
            "Unpack an archive into a folder",
            {"path": "packed/orders.zip", "to": "unpacked", "pattern": "*.json"},
            {"root": "work", "path": "unpacked", "files": [{"path": "orders/42.json", "size": 9, "file": None}], "size": 9},
        ),
    ),
)
def unpack(parameters: UnzipParameters, context: OperationContext) -> UnzipResult:
    """Unpacks a zip archive, or those of its files that a pattern names: into a folder below a root, or into file values.

    Every entry is checked before the first one is written, and all of them are there in the end or none is. Archives inside the archive
    stay files. LIMIT_ZIP_ENTRIES, LIMIT_ZIP_TOTAL and LIMIT_ZIP_RATIO bound what is unpacked.
    """
    # Start-up cost: as in `explain_packing`.
    from flowforge.kit.archives import open_archive

    with explain_packing():
        file, _ = open_source(context, parameters)
        with file, open_archive(file, context.limits, parameters.encoding) as archive:
            chosen = [entry for entry in archive.entries if not entry.is_folder and matches(parameters.pattern, entry.path)]
            if parameters.to is None:
                values = _store(archive, chosen, context)
            else:
                values = dict.fromkeys((entry.path for entry in chosen), None)
                _write(archive, chosen, parameters, context)
    return UnzipResult(
        root=None if parameters.to is None else parameters.to_root or parameters.root,
        path=parameters.to,
        files=[UnzippedFile(path=entry.path, size=entry.size_bytes, file=_show(values[entry.path])) for entry in chosen],
        size=sum(entry.size_bytes for entry in chosen),
    )


def _show(value: FileValue | None) -> dict[str, pydantic.JsonValue] | None:
    return None if value is None else value.to_json()


def _write(
    archive: "ArchiveReader", chosen: "list[ArchiveEntry]", parameters: UnzipParameters, context: OperationContext
) -> None:
    assert parameters.to is not None
    roots = context.service(FileRoots)
    with roots.fill_folder(parameters.to_root or parameters.root, parameters.to, mode=FolderMode(parameters.mode)) as folder:
        for empty in [entry for entry in archive.entries if entry.is_folder and parameters.pattern == "*"]:
            folder.make_folder(empty.path)
        for entry in chosen:
            with folder.create(entry.path) as writer:
                _pass_on(archive, entry, writer)
                writer.commit()
        folder.commit()


def _pass_on(archive: "ArchiveReader", entry: "ArchiveEntry", writer: RootWriter | ObjectWriter) -> None:
    for piece in archive.unpack(entry):
        writer.write(piece)


def _store(archive: "ArchiveReader", chosen: "list[ArchiveEntry]", context: OperationContext) -> dict[str, FileValue | None]:
    objects = context.service(ObjectStore)
    stored: dict[str, FileValue | None] = {}
    with contextlib.ExitStack() as undo:
        for entry in chosen:
            name = entry.path.rpartition("/")[2]
            with create_stored(context, name=name, media_type=guess_media_type(name)) as writer:
                _pass_on(archive, entry, writer)
                value = writer.commit()
            undo.callback(objects.delete, value.id)
            stored[entry.path] = value
        undo.pop_all()
    return stored
