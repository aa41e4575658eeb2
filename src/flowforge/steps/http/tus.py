"""Uploads by the tus protocol, version 1.0.0 (tus.io/protocols/resumable-upload): creation, and going on where it broke."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

from flowforge.kit.egress import EgressError, EgressResponse
from flowforge.operations import ErrorCode, FatalError, OperationContext, RetryableError
from flowforge.steps.http.answers import refuse_status
from flowforge.steps.http.fields import write_scalar
from flowforge.steps.http.progress import Progress
from flowforge.steps.http.sending import Body, Call, Caller, is_same_origin
from flowforge.steps.http.sources import FilePiece, make_section
from flowforge.steps.http.upload_models import UploadParameters, UploadResult
from flowforge.steps.outbound import explain_egress

TUS_ERRORS: Final = (
    ErrorCode("upload_protocol", "The server does not speak tus 1.0 as it should: no Location, or no fitting Upload-Offset."),
    ErrorCode("upload_gone", "The server does not know the upload any more that it had begun.", retryable=True),
)

_VERSION: Final = {"Tus-Resumable": "1.0.0"}
_GONE: Final = frozenset({404, 410})
_OFFSET_CONFLICT: Final = 409
_LOCKED: Final = 423
_WAIT_MAX_S: Final = 8.0


class TusUpload:
    """One upload."""

    def __init__(self, parameters: UploadParameters, context: OperationContext, caller: Caller, piece: FilePiece) -> None:
        self._parameters = parameters
        self._context = context
        self._caller = caller
        self._piece = piece
        self._progress = Progress(context, "uploaded")
        self._url = ""
        self._is_signed = True
        self._breaks = 0

    async def send(self) -> UploadResult:
        """Raises FatalError, RetryableError: with a code that `http.upload` declares."""
        answer = await self._create()
        size_bytes = self._piece.size_bytes
        # An earlier attempt may have created this very upload, and sent a part of it.
        place = await self._ask_for_place() if self._context.attempt > 1 else 0
        while place < size_bytes:
            answer = await self._send_chunk_or_none(place)
            place = await self._find_place() if answer is None else _read_offset(answer, place + 1, size_bytes)
        return UploadResult(
            status=204 if answer is None else answer.status,
            headers={} if answer is None else answer.headers,
            body=None,
            url=self._url,
            size=size_bytes,
            resume_count=self._breaks,
        )

    async def _create(self) -> EgressResponse | None:
        headers = {**_VERSION, "Upload-Length": str(self._piece.size_bytes)}
        metadata = self._write_metadata()
        if metadata:
            headers["Upload-Metadata"] = metadata
        answer = await self._caller.exchange(Call("POST", self._parameters.url, headers, self._parameters.query, b""))
        if not 200 <= answer.status < 300:
            raise refuse_status(answer, self._context)
        location = answer.headers.get("location")
        if not location:
            raise FatalError(
                f"{answer.url} answered with the status {answer.status} and no Location; it does not speak tus. Use the protocol plain.",
                code="upload_protocol",
            )
        self._url = urljoin(answer.url, location)
        try:
            self._is_signed = is_same_origin(self._url, self._parameters.url)
        except EgressError as error:
            raise explain_egress(error) from error
        return answer

    def _write_metadata(self) -> str:
        told = {
            "filename": self._parameters.find_name(self._piece),
            "filetype": self._parameters.find_media_type(self._piece),
            **self._parameters.metadata,
        }
        return ",".join(
            f"{name} {b64encode(write_scalar(value).encode()).decode()}".strip()
            for name, value in told.items()
            if value is not None
        )

    async def _send_chunk_or_none(self, place: int) -> EgressResponse | None:
        """The server's answer; None if the connection broke, or the server is at another place."""
        size_bytes = min(self._parameters.chunk_size, self._piece.size_bytes - place)
        body = make_section(self._piece, place, size_bytes, lambda sent: self._progress.tell(sent, self._piece.size_bytes))
        headers = {**_VERSION, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(place)}
        try:
            answer = await self._call("PATCH", headers, body, f"-{place}")
            if answer.status == _LOCKED:
                raise RetryableError("The server still holds the upload for a request before.", code=f"http_{_LOCKED}")
            if answer.status != _OFFSET_CONFLICT:
                _refuse_gone(answer)
                if not 200 <= answer.status < 300:
                    raise refuse_status(answer, self._context)
                return answer
        except RetryableError as error:
            await self._take_break(error)
            return None
        await self._take_break(refuse_status(answer, self._context), is_expected=True)
        return None

    async def _find_place(self) -> int:
        while True:
            try:
                return await self._ask_for_place()
            except RetryableError as error:
                await self._take_break(error)

    async def _ask_for_place(self) -> int:
        answer = await self._call("HEAD", _VERSION, None, "-head")
        _refuse_gone(answer)
        if not 200 <= answer.status < 300:
            raise refuse_status(answer, self._context)
        return _read_offset(answer, 0, self._piece.size_bytes)

    async def _call(self, method: str, headers: Mapping[str, str], body: Body | None, suffix: str) -> EgressResponse:
        # The upload's own URL holds all that it needs: the query was for the creation.
        call = Call(method, self._url, headers, {}, body, idempotency_suffix=suffix, is_signed=self._is_signed)
        return await self._caller.exchange(call)

    async def _take_break(self, error: RetryableError, *, is_expected: bool = False) -> None:
        """Waits for a moment; raises the error where there were too many breaks, or going on cannot help."""
        is_passing = (error.by_default or is_expected) and not error.postpones and error.code != "upload_gone"
        if not is_passing or self._breaks >= self._parameters.resumes:
            raise error
        wait_s = max(0.0 if self._breaks == 0 else 0.25 * 2**self._breaks, (error.after_ms or 0) / 1_000)
        self._breaks += 1
        self._context.log("warning", "The upload was interrupted and goes on.", reason=error.code)
        await asyncio.sleep(min(wait_s, _WAIT_MAX_S))


def _refuse_gone(answer: EgressResponse) -> None:
    if answer.status in _GONE:
        raise RetryableError("The server does not know the upload any more; the next attempt begins anew.", code="upload_gone")


def _read_offset(answer: EgressResponse, least: int, most: int) -> int:
    written = answer.headers.get("upload-offset", "").strip()
    if not (written.isascii() and written.isdigit() and len(written) < 20 and least <= int(written) <= most):
        raise FatalError(
            f"{answer.url} answered with the Upload-Offset {written[:40]!r}, which does not fit; it does not speak tus 1.0 as it should.",
            code="upload_protocol",
        )
    return int(written)
