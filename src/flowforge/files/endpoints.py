"""Files over HTTP: sent whole or in pieces, fetched whole or by a range, lent by a signed link."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, BinaryIO, Final
from urllib.parse import quote

from fastapi import File, Header, Path, Request, Response, UploadFile
from pydantic import Field
from starlette.responses import StreamingResponse

from flowforge.audit.service import record
from flowforge.files import service, uploads
from flowforge.files.errors import (
    DigestMismatchError,
    FileNotFoundHereError,
    LinkLifeError,
    RangeError,
    UploadIncompleteError,
    UploadNotFoundError,
    UploadOffsetError,
)
from flowforge.files.links import FileLinks, read_link_life
from flowforge.files.models import FileRow, UploadRow
from flowforge.kit.objects import ObjectStore
from flowforge.kit.objects.values import clean_media_type, clean_name
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, Title
from flowforge.web.callers import OPEN
from flowforge.web.calls import Call, CallIn
from flowforge.web.errors import MediaTypeError, PayloadTooLargeError
from flowforge.web.routing import Router

files: Final = Router("files", "/files")
pieces: Final = Router("files", "/uploads")
ROUTERS: Final[Sequence[Router]] = (files, pieces)

_CHUNK_BYTES: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_UNSEEN: Final = re.compile(r"[^A-Za-z0-9._ -]")
_BINARY: Final = "application/octet-stream"
_SANDBOX: Final = "sandbox; default-src 'none'"
"""A file that is opened in a browser can do nothing, whatever it holds."""

FileIdIn = Annotated[str, Path(max_length=100, examples=["file_01jz5c2q8hm7k3v9x4e6t0w1yb"])]
UploadIdIn = Annotated[str, Path(max_length=100, examples=["upl_01jz5c2q8hm7k3v9x4e6t0w1yb"])]
RangeIn = Annotated[str | None, Header(description="One range: `bytes=0-1023`.")]
OffsetIn = Annotated[int, Header(ge=0, description="Where in the file the piece begins: what was received so far.")]


class FileAnswer(Answer):
    """A file. Steps take it as `{"$file": {"id", "name", "media_type", "size", "sha256"}}`."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str | None = Field(description="Null: a step made it, and its run tells.")
    created_at: str | None
    created_by: str | None


class FileLinkBody(Body):
    expires_in: str = Field(
        default="1h", max_length=40, description="How long whoever has the link can fetch the file: 1m to 7d.", examples=["1h"]
    )


class FileLinkAnswer(Answer):
    url: str
    expires_at: str


class UploadBody(Body):
    name: Title = Field(examples=["orders.csv"])
    media_type: str = Field(default=_BINARY, max_length=200, examples=["text/csv"])
    size_bytes: int = Field(ge=0)


class UploadAnswer(Answer):
    """A file on its way."""

    id: str
    name: str
    size_bytes: int
    received_bytes: int
    expires_at: str
    file_id: str | None


class CompletionBody(Body):
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$", description="What the whole file must have.")


@files.post("", "file:write", status=201, errors=[PayloadTooLargeError], summary="Send a file")
async def send_file(call: CallIn, response: Response, file: Annotated[UploadFile, File(description="The file.")]) -> FileAnswer:
    name, media_type = clean_name(file.filename or "file"), clean_media_type(file.content_type or _BINARY)
    kept = await service.store_stream(
        call.port(ObjectStore), file.file, name=name, media_type=media_type, most_bytes=call.limits.upload_max_bytes
    )
    async with call.change() as session:
        row = await service.keep_file(session, call.actor, call.workspace_id, kept, at_ms=call.now_ms)
    response.headers["location"] = f"/api/v1/files/{row.id}"
    return _show(row)


@files.get(
    "/links/{token}",
    OPEN,
    response_class=Response,
    response_model=None,
    errors=[FileNotFoundHereError],
    summary="Fetch by a link",
)
async def fetch_by_link(call: CallIn, token: Annotated[str, Path(max_length=500)], range: RangeIn = None) -> Response:  # noqa: A002
    """Whoever has the link can fetch the file until it expires."""
    workspace_id, file_id = call.port(FileLinks).read(token, call.now_ms)
    return await _send(call, workspace_id, file_id, range)


@files.get("/{file_id}", "file:read", errors=[FileNotFoundHereError], summary="What is known of a file")
async def get_file(call: CallIn, file_id: FileIdIn) -> FileAnswer:
    async with call.read() as session:
        row = await service.get_file(session, call.workspace_id, file_id)
    if row is not None:
        return _show(row)
    size_bytes = await service.find_size(call.port(ObjectStore), file_id)
    return FileAnswer(
        id=file_id, name="file", media_type=_BINARY, size_bytes=size_bytes, sha256=None, created_at=None, created_by=None
    )


@files.delete("/{file_id}", "file:write", status=204, errors=[FileNotFoundHereError], summary="Delete a file that was sent")
async def delete_file(call: CallIn, file_id: FileIdIn) -> None:
    async with call.change() as session:
        row = await service.delete_file(session, call.workspace_id, file_id)
        await record(session, call, "file.deleted", "file", file_id, before={"name": row.name, "sha256": row.sha256})
    await asyncio.to_thread(call.port(ObjectStore).delete, file_id)


@files.get(
    "/{file_id}/content",
    "file:read",
    response_class=Response,
    response_model=None,
    errors=[FileNotFoundHereError, RangeError],
    answers={206: {"description": "A part of the file"}},
    summary="The bytes of a file",
)
async def fetch_file(call: CallIn, file_id: FileIdIn, range: RangeIn = None) -> Response:  # noqa: A002 (the header's name)
    return await _send(call, call.workspace_id, file_id, range)


@files.post(
    "/{file_id}/link", "file:write", status=201, errors=[FileNotFoundHereError, LinkLifeError], summary="Lend a file by a link"
)
async def lend_file(call: CallIn, response: Response, file_id: FileIdIn, body: FileLinkBody) -> FileLinkAnswer:
    life_ms = read_link_life(body.expires_in)
    async with call.change() as session:
        await service.get_file(session, call.workspace_id, file_id)
        await record(session, call, "file.lent", "file", file_id, after={"expires_in": body.expires_in})
    expires_at_ms = call.now_ms + life_ms
    token = call.port(FileLinks).make(call.workspace_id, file_id, expires_at_ms)
    url = f"{call.parts.settings.public_url or ''}/api/v1/files/links/{token}"
    response.headers["location"] = url
    return FileLinkAnswer(url=url, expires_at=format_timestamp_ms(expires_at_ms))


@pieces.post("", "file:write", status=201, errors=[PayloadTooLargeError], summary="Announce a file that comes in pieces")
async def begin_upload(call: CallIn, response: Response, body: UploadBody) -> UploadAnswer:
    if body.size_bytes > call.limits.upload_total_bytes:
        raise PayloadTooLargeError(call.limits.upload_total_bytes, "upload_total")
    async with call.change() as session:
        row = await uploads.begin_upload(
            session,
            call.actor,
            call.workspace_id,
            name=body.name,
            media_type=body.media_type,
            size_bytes=body.size_bytes,
            at_ms=call.now_ms,
        )
    response.headers["location"] = f"/api/v1/uploads/{row.id}"
    return _show_upload(row)


@pieces.get("/{upload_id}", "file:write", errors=[UploadNotFoundError], summary="How much has arrived")
async def get_upload(call: CallIn, response: Response, upload_id: UploadIdIn) -> UploadAnswer:
    async with call.read() as session:
        row = await uploads.get_upload(session, call.workspace_id, upload_id)
    response.headers["upload-offset"] = str(row.received)
    return _show_upload(row)


@pieces.patch(
    "/{upload_id}",
    "file:write",
    errors=[UploadNotFoundError, UploadOffsetError, MediaTypeError],
    openapi_body={"content": {_BINARY: {"schema": {"type": "string", "format": "binary"}}}, "required": True},
    summary="Send the next piece",
)
async def send_piece(
    call: CallIn, request: Request, response: Response, upload_id: UploadIdIn, upload_offset: OffsetIn
) -> UploadAnswer:
    """At most LIMIT_UPLOAD_MAX at once. After a failure ask how much has arrived, and go on there."""
    if clean_media_type(request.headers.get("content-type", "")) != _BINARY:
        raise MediaTypeError(_BINARY)
    async with call.read() as session:
        await uploads.get_upload(session, call.workspace_id, upload_id)
    objects, data = call.port(ObjectStore), await request.body()
    piece = await asyncio.to_thread(lambda: objects.put(data, name="piece", media_type=_BINARY))
    try:
        async with call.change() as session:
            row = await uploads.add_piece(session, call.workspace_id, upload_id, start=upload_offset, piece=piece)
    except (UploadOffsetError, UploadIncompleteError, UploadNotFoundError):
        await asyncio.to_thread(objects.delete, piece.id)
        raise
    response.headers["upload-offset"] = str(row.received)
    return _show_upload(row)


@pieces.post(
    "/{upload_id}/complete",
    "file:write",
    status=201,
    errors=[UploadNotFoundError, UploadIncompleteError, DigestMismatchError],
    summary="Make one file of the pieces",
)
async def complete_upload(call: CallIn, response: Response, upload_id: UploadIdIn, body: CompletionBody) -> FileAnswer:
    """Called again it gives the same file."""
    async with call.read() as session:
        upload = await uploads.get_upload(session, call.workspace_id, upload_id)
        arrived = await uploads.list_pieces(session, upload.id)
        known = None if upload.file_id is None else await service.get_file(session, call.workspace_id, upload.file_id)
    if known is not None:
        response.headers["location"] = f"/api/v1/files/{known.id}"
        return _show(known)
    objects = call.port(ObjectStore)
    joined = await uploads.join_pieces(objects, upload, arrived, body.sha256)
    async with call.change() as session:
        row = await uploads.finish_upload(session, call.actor, upload, joined, at_ms=call.now_ms)
    if row.id != joined.id:
        await asyncio.to_thread(objects.delete, joined.id)
    response.headers["location"] = f"/api/v1/files/{row.id}"
    return _show(row)


async def _send(call: Call, workspace_id: str, file_id: str, wanted: str | None) -> Response:
    async with call.read() as session:
        row = await service.get_file(session, workspace_id, file_id)
    objects = call.port(ObjectStore)
    size = row.size if row is not None else await service.find_size(objects, file_id)
    start, end = _read_range(wanted, size)
    source = await asyncio.to_thread(objects.open, file_id)
    name = "file" if row is None else row.name
    headers = {
        "content-disposition": f"attachment; filename=\"{_UNSEEN.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}",
        "content-length": str(end - start),
        "content-security-policy": _SANDBOX,
        "accept-ranges": "bytes",
    }
    if row is not None:
        headers["etag"] = f'"{row.sha256}"'
    is_part = (start, end) != (0, size)
    if is_part:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    media_type = _BINARY if row is None else row.media_type
    return StreamingResponse(_read_pieces(source, start, end), 206 if is_part else 200, headers, media_type=media_type)


async def _read_pieces(source: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    with source:
        await asyncio.to_thread(source.seek, start)
        left = end - start
        while left > 0 and (data := await asyncio.to_thread(source.read, min(left, _CHUNK_BYTES))):
            left -= len(data)
            yield data


def _read_range(wanted: str | None, size: int) -> tuple[int, int]:
    """First byte and the one behind the last; the whole file where no range is asked for."""
    if wanted is None:
        return 0, size
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]):
        raise RangeError(size)
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    if start >= end:
        raise RangeError(size)
    return start, end


def _show(row: FileRow) -> FileAnswer:
    return FileAnswer(
        id=row.id,
        name=row.name,
        media_type=row.media_type,
        size_bytes=row.size,
        sha256=row.sha256,
        created_at=format_timestamp_ms(row.created_at),
        created_by=row.created_by,
    )


def _show_upload(row: UploadRow) -> UploadAnswer:
    return UploadAnswer(
        id=row.id,
        name=row.name,
        size_bytes=row.size,
        received_bytes=row.received,
        expires_at=format_timestamp_ms(row.expires_at),
        file_id=row.file_id,
    )
