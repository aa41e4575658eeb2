"""Fetches a file, and goes on where a connection broke (RFC 9110, 14: Range and If-Range)."""

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from flowforge.kit.egress import EgressError, EgressFault, EgressStream
from flowforge.kit.objects import FileValue, ObjectWriter
from flowforge.kit.paths import FileRoots, RootWriter
from flowforge.kit.units import format_size
from flowforge.operations import FatalError, OperationContext, RetryableError
from flowforge.steps.http.answers import refuse_status
from flowforge.steps.http.download_models import DownloadParameters
from flowforge.steps.http.header_values import find_file_name
from flowforge.steps.http.progress import Progress
from flowforge.steps.http.receiving import FileSink, open_sink, read_beginning
from flowforge.steps.http.sending import Call, Caller
from flowforge.steps.stored import create_stored

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_UNSATISFIED: Final = re.compile(r"bytes \*/(\d{1,19})")
_WAIT_MAX_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came. `sha256` and `size_bytes` tell nothing where the server said that nothing has changed."""

    status: int
    headers: dict[str, str]
    url: str
    size_bytes: int = 0
    sha256: str | None = None
    file: FileValue | None = None
    resumed: int = 0


@dataclass(slots=True)
class _Draft:
    """What is there of the file so far, and how to ask for the rest; `validator` is None where the server names no version of it."""

    sink: FileSink
    stack: AsyncExitStack
    headers: dict[str, str]
    url: str
    validator: str | None
    total_bytes: int | None


class Fetcher:
    """One download."""

    def __init__(self, parameters: DownloadParameters, context: OperationContext, caller: Caller) -> None:
        self._parameters = parameters
        self._context = context
        self._caller = caller
        self._draft: _Draft | None = None
        self._unchanged: Arrival | None = None
        self._progress = Progress(context, "downloaded")

    async def fetch(self) -> Arrival:
        """The whole file in its place.

        Raises:
            FatalError, RetryableError: with a code that `http.download` declares; nothing is kept.
        """
        breaks = 0
        try:
            while not await self._go_on(breaks):
                breaks += 1
            return self._unchanged or await self._put_in_place(breaks)
        finally:
            await self._drop()

    async def _go_on(self, breaks: int) -> bool:
        """Fetches as much as comes; whether that was all."""
        try:
            if await self._request():
                return True
            reason, after_ms = "the server does not go on with the same file", None
        except RetryableError as error:
            is_passing = error.by_default and not error.postpones
            if not is_passing or not self._can_resume() or breaks >= self._parameters.resumes:
                raise
            reason, after_ms = error.code, error.after_ms
        if breaks >= self._parameters.resumes:
            raise RetryableError(
                f"The download broke off {breaks + 1} times; {reason}.", code=EgressFault.CONNECTION_FAILED.value
            )
        wait_s = max(0.0 if breaks == 0 else 0.25 * 2**breaks, (after_ms or 0) / 1_000)
        have_bytes = 0 if self._draft is None else self._draft.sink.size_bytes
        self._context.log("warning", "The download was interrupted and goes on.", reason=reason, received=have_bytes)
        await asyncio.sleep(min(wait_s, _WAIT_MAX_S))
        return False

    def _can_resume(self) -> bool:
        return self._draft is not None and self._draft.validator is not None and self._draft.sink.size_bytes > 0

    async def _request(self) -> bool:
        draft = self._draft
        headers = {"Accept-Encoding": "identity"}
        if draft is not None and draft.validator is not None and draft.sink.size_bytes:
            headers |= {"Range": f"bytes={draft.sink.size_bytes}-", "If-Range": draft.validator}
        else:
            headers |= self._parameters.list_conditions()
        call = Call("GET", self._parameters.url, headers, self._parameters.query)
        async with self._caller.open(call, max_bytes=self._parameters.max_size) as stream:
            if "Range" in headers and draft is not None and stream.status in {206, 416}:
                if stream.status == 206 and _continues(stream, draft):
                    await self._receive(stream, draft)
                    return True
                is_whole = stream.status == 416 and _read_unsatisfied(stream) == draft.sink.size_bytes
                if not is_whole:
                    await self._drop()
                return is_whole
            if stream.status == 304 and self._parameters.if_changed is not None:
                self._unchanged = Arrival(stream.status, stream.headers, stream.url)
                return True
            if not 200 <= stream.status < 300 or stream.status == 206:
                raise refuse_status(await read_beginning(stream, self._context.limits), self._context)
            await self._receive(stream, await self._begin(stream))
            return True

    async def _begin(self, stream: EgressStream) -> _Draft:
        await self._drop()
        total_bytes = _read_length(stream)
        if total_bytes is not None and total_bytes > self._parameters.max_size:
            raise self._refuse_size()
        stack = AsyncExitStack()
        sink = await stack.enter_async_context(open_sink(lambda: self._make_writer(stream)))
        self._draft = _Draft(sink, stack, stream.headers, stream.url, _find_validator(stream), total_bytes)
        return self._draft

    def _make_writer(self, stream: EgressStream) -> ObjectWriter | RootWriter:
        parameters = self._parameters
        if parameters.path is not None:
            return self._context.service(FileRoots).create(
                parameters.root, parameters.path, replaces=parameters.mode == "replace"
            )
        name = parameters.name or find_file_name(stream.headers.get("content-disposition"), stream.url)
        media_type = stream.headers.get("content-type", "application/octet-stream")
        return create_stored(self._context, name=name, media_type=media_type)

    async def _receive(self, stream: EgressStream, draft: _Draft) -> None:
        try:
            async for piece in stream.iterate():
                if draft.sink.size_bytes + len(piece) > self._parameters.max_size:
                    raise self._refuse_size()
                await draft.sink.write(piece)
                self._progress.tell(draft.sink.size_bytes, draft.total_bytes)
        except EgressError:
            await draft.sink.flush()
            raise

    def _refuse_size(self) -> FatalError:
        return FatalError(
            f"The file is larger than {format_size(self._parameters.max_size)}; raise max_size, or ask for less.",
            code=EgressFault.RESPONSE_TOO_LARGE.value,
        )

    async def _put_in_place(self, breaks: int) -> Arrival:
        draft = self._draft
        assert draft is not None
        sha256 = await draft.sink.finish()
        wanted = (self._parameters.sha256 or sha256).lower()
        if sha256 != wanted:
            raise RetryableError(
                f"The file has the SHA-256 {sha256}, not {wanted}; nothing was kept. Check the URL, and whether it was published anew.",
                code="checksum_mismatch",
                by_default=False,
            )
        file = await draft.sink.commit()
        return Arrival(200, draft.headers, draft.url, draft.sink.size_bytes, sha256, file, breaks)

    async def _drop(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            await draft.stack.aclose()


def _read_length(stream: EgressStream) -> int | None:
    written = stream.headers.get("content-length", "")
    is_plain = "content-encoding" not in stream.headers and written.isascii() and written.isdigit()
    return int(written[:20]) if is_plain else None


def _find_validator(stream: EgressStream) -> str | None:
    """What If-Range takes: a strong ETag, or a Last-Modified that is older than the answer by a second at least (RFC 9110, 8.8.2.2)."""
    if "content-encoding" in stream.headers or stream.headers.get("accept-ranges", "").strip().lower() == "none":
        return None
    etag = stream.headers.get("etag", "")
    if etag:
        return etag if etag.startswith('"') else None
    modified, date = stream.headers.get("last-modified"), stream.headers.get("date")
    if modified is None or date is None:
        return None
    try:
        age = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return None
    return modified if age.total_seconds() >= 1 else None


def _continues(stream: EgressStream, draft: _Draft) -> bool:
    """Whether a 206 has just what is missing, of the same version."""
    found = _CONTENT_RANGE.fullmatch(stream.headers.get("content-range", "").strip())
    if found is None or int(found[1]) != draft.sink.size_bytes or "content-encoding" in stream.headers:
        return False
    if draft.total_bytes is not None and found[3] not in {"*", str(draft.total_bytes)}:
        return False
    etag = stream.headers.get("etag")
    return etag is None or draft.validator == etag or not str(draft.validator).startswith('"')


def _read_unsatisfied(stream: EgressStream) -> int | None:
    found = _UNSATISFIED.fullmatch(stream.headers.get("content-range", "").strip())
    return int(found[1]) if found is not None else None
