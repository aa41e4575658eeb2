"""The use cases of files. The object store blocks, so it is used in a thread. Bytes are stored before the row that names them."""

import asyncio
import base64
import binascii
from collections.abc import Iterator
from typing import BinaryIO, Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.files import repository
from flowforge.files.errors import FileNotFoundHereError
from flowforge.files.models import FileRow
from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.ids import is_id
from flowforge.kit.objects import ObjectStore
from flowforge.kit.objects.values import FILE_KEY, FILE_PREFIX, FileValue
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import format_path
from flowforge.web.errors import PayloadTooLargeError

__all__ = [
    "FileRow",
    "check_files",
    "delete_file",
    "find_size",
    "get_file",
    "keep_file",
    "may_name_files",
    "store_stream",
    "take_in",
]

_PIECE_BYTES: Final = 2**20
_UNKNOWN_MAX: Final = 20
"""So many files that are not there are told of."""


async def store_stream(objects: ObjectStore, source: BinaryIO, *, name: str, media_type: str, most_bytes: int) -> FileValue:
    """Copies a stream into the store.

    Raises:
        PayloadTooLargeError: it has more than `most_bytes`; nothing is kept.
        StorageError: the store cannot be used.
    """
    return await asyncio.to_thread(_copy, objects, source, name, media_type, most_bytes)


def _copy(objects: ObjectStore, source: BinaryIO, name: str, media_type: str, most_bytes: int) -> FileValue:
    with objects.create(name=name, media_type=media_type) as writer:
        while piece := source.read(_PIECE_BYTES):
            if writer.size_bytes + len(piece) > most_bytes:
                raise PayloadTooLargeError(most_bytes, "upload_max")
            writer.write(piece)
        return writer.commit()


async def keep_file(session: AsyncSession, actor: str, workspace_id: str, file: FileValue, *, at_ms: int) -> FileRow:
    """Makes a stored file one of the workspace."""
    row = FileRow(
        id=file.id,
        workspace_id=workspace_id,
        name=file.name,
        media_type=file.media_type,
        size=file.size_bytes,
        sha256=file.sha256,
        created_at=at_ms,
        created_by=actor,
    )
    session.add(row)
    await session.flush()
    return row


async def get_file(session: AsyncSession, workspace_id: str, file_id: str) -> FileRow | None:
    """The row of a file that was sent; None: it is a file that a run of the workspace names.

    Raises:
        FileNotFoundHereError: it is of another workspace, or there is none.
    """
    if not is_id(file_id, FILE_PREFIX):
        raise FileNotFoundHereError(file_id)
    row = await repository.find_file(session, workspace_id, file_id)
    if row is None and file_id not in await repository.list_known_files(session, workspace_id, [file_id]):
        raise FileNotFoundHereError(file_id)
    return row


async def delete_file(session: AsyncSession, workspace_id: str, file_id: str) -> FileRow:
    """Takes a file that was sent out of the workspace; its bytes go after the commit.

    Raises:
        FileNotFoundHereError: nobody sent such a file.
    """
    row = await repository.find_file(session, workspace_id, file_id)
    if row is None:
        raise FileNotFoundHereError(file_id)
    await repository.delete_file(session, workspace_id, file_id)
    return row


async def find_size(objects: ObjectStore, file_id: str) -> int:
    """Bytes of a file.

    Raises:
        ObjectMissingError, StorageError: it is not there, or the store cannot be used.
    """

    def measure() -> int:
        with objects.open(file_id) as file:
            return file.seek(0, 2)

    return await asyncio.to_thread(measure)


def may_name_files(data: bytes) -> bool:
    """Whether a JSON text may hold a file value. A look at its bytes, so that most values need not be walked."""
    return b"$file" in data or b"\\u" in data


async def check_files(session: AsyncSession, workspace_id: str, value: JsonValue, *field: str) -> None:
    """Whoever hands in a file must be able to read it. `field`: where the value stands.

    Raises:
        ValidationError: files are named (`$file.id`) that are not of the workspace; code `file_unknown`, as for those that do not exist.
    """
    named = list(_list_named(value, field))
    if not named:
        return
    known = await repository.list_known_files(session, workspace_id, [file_id for _, file_id in named])
    unknown = [
        Detail(format_path(path), _tell_unknown(file_id), "file_unknown") for path, file_id in named if file_id not in known
    ]
    if unknown:
        raise ValidationError(unknown[0].message, unknown[:_UNKNOWN_MAX])


def _tell_unknown(file_id: str) -> str:
    return f"There is no file {file_id[:80]!r} here; send it with POST /files, and name the id that this gives."


async def take_in(objects: ObjectStore, value: JsonValue, *, most_bytes: int) -> tuple[JsonValue, list[FileValue]]:
    """The value with each file that came as text (`{"$file": {"data": base64, "name"?, "media_type"?}}`) stored, and those files.

    Raises:
        ValidationError: `data` is no base64 (`base64_invalid`).
        PayloadTooLargeError: a file has more than `most_bytes`.
    """
    taken: list[FileValue] = []

    async def change(part: JsonValue) -> JsonValue:
        if isinstance(part, list):
            return [await change(item) for item in part]
        if not isinstance(part, dict):
            return part
        facts = part.get(FILE_KEY)
        if len(part) == 1 and isinstance(facts, dict) and isinstance(facts.get("data"), str):
            taken.append(await _store_text(objects, facts, most_bytes))
            return taken[-1].to_json()
        return {name: await change(item) for name, item in part.items()}

    return await change(value), taken


async def _store_text(objects: ObjectStore, facts: JsonObject, most_bytes: int) -> FileValue:
    try:
        data = base64.b64decode(str(facts["data"]), validate=True)
    except (binascii.Error, ValueError):
        message = "`$file.data` is not base64."
        raise ValidationError(message, [Detail("$file.data", message, "base64_invalid")]) from None
    if len(data) > most_bytes:
        raise PayloadTooLargeError(most_bytes, "upload_max")
    name, media_type = str(facts.get("name") or "file"), str(facts.get("media_type") or "application/octet-stream")
    return await asyncio.to_thread(lambda: objects.put(data, name=name, media_type=media_type))


def _list_named(value: JsonValue, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Place and id of each file."""
    if isinstance(value, dict):
        facts = value.get(FILE_KEY)
        if len(value) == 1 and isinstance(facts, dict) and "id" in facts:
            yield path, str(facts["id"])
        for name, item in value.items():
            yield from _list_named(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _list_named(item, (*path, place))
