"""The object store's bytes in a bucket, at Amazon's S3 or at a server that speaks as it does.

The bucket is the operator's: it is reached directly, not by the guarded way out that steps use.
"""

import io
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import obstore
from obstore.exceptions import BaseError, InvalidPathError
from obstore.store import S3Store

from flowforge.kit.errors import Detail, StorageError, StorageFullError
from flowforge.kit.ids import is_id
from flowforge.kit.objects.shelf import StoredObject, place_of
from flowforge.kit.objects.values import ObjectMissingError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import WritableFile

_PIECE_BYTES: Final = 8 * 1024 * 1024
"""Read at once, and uploaded at once: S3 takes 10,000 parts, of which all but the last have 5 MiB at least."""
_PIECES_AT_ONCE: Final = 2
_PAGE: Final = 1_000
_CONNECT: Final = timedelta(seconds=5)
_SILENCE: Final = timedelta(seconds=30)
_REQUEST: Final = timedelta(minutes=5)
_RETRIES: Final = 3
_RETRY_WITHIN: Final = timedelta(seconds=20)

_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3})")
_FULL: Final = re.compile(r"StorageFull|QuotaExceeded|InsufficientStorage")
_FAULTS: Final = (BaseError, OSError, ValueError)
"""What the library raises: FileNotFoundError and PermissionError among them."""


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A bucket, and the part of it that is ours. What is None comes from the environment, as Amazon's tools read it."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    is_path_style: bool = True
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """For people, without keys."""
        at = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + at


class BucketShelf:
    """Objects named as the files of a `FolderShelf` are, below a prefix of the bucket.

    A put that was answered is durable and seen by all. Uploads that a crash cut short are invisible; a lifecycle rule of the bucket
    (AbortIncompleteMultipartUpload) gives their room back, as the S3 protocol leaves it to the bucket.
    """

    def __init__(self, place: BucketPlace) -> None:
        self._place = place

    def put(self, file_id: str, data: bytes) -> None:
        with self.explain():
            obstore.put(self._bucket, _key_of(file_id), data, chunk_size=_PIECE_BYTES, max_concurrency=_PIECES_AT_ONCE)

    def begin(self, file_id: str) -> "_BucketDraft":
        with self.explain():
            writer = obstore.open_writer(
                self._bucket, _key_of(file_id), buffer_size=_PIECE_BYTES, max_concurrency=_PIECES_AT_ONCE
            )
            return _BucketDraft(self, writer)

    def open(self, file_id: str) -> BinaryIO:
        with self.explain(file_id):
            size_bytes, piece = self._open(_key_of(file_id))
        if size_bytes <= len(piece):
            return io.BytesIO(piece)
        # A BufferedReader is one, though the type says otherwise.
        return cast("BinaryIO", io.BufferedReader(_BucketStream(self, file_id, size_bytes, piece), io.DEFAULT_BUFFER_SIZE))

    def _open(self, key: str) -> tuple[int, bytes]:
        """Size and first piece, in one request."""
        try:
            found = obstore.get(self._bucket, key, options={"range": (0, _PIECE_BYTES)})
        except BaseError as fault:
            if not _is_empty(str(fault)):
                raise
            return 0, b""
        return found.meta["size"], found.bytes().to_bytes()

    def read_piece(self, file_id: str, start: int, length: int) -> bytes:
        """Raises ObjectMissingError and StorageError."""
        with self.explain(file_id):
            return obstore.get_range(self._bucket, _key_of(file_id), start=start, length=length).to_bytes()

    def delete(self, file_id: str) -> None:
        with self.explain():
            obstore.delete(self._bucket, _key_of(file_id))

    def scan(self, prefix: str) -> Iterator[StoredObject]:
        with self.explain():
            for page in obstore.list(self._bucket, chunk_size=_PAGE):  # pyright: ignore[reportUnknownMemberType] - other forms need a package that is not here
                yield from _read_page(page, prefix)

    def sweep(self, *, stored_before_ms: int) -> int:
        """Nothing that was cut short can be seen in a bucket."""
        del stored_before_ms
        return 0

    @cached_property
    def _bucket(self) -> S3Store:
        place, more = self._place, dict[str, Any]()
        if place.region is not None:
            more["region"] = place.region
        if place.endpoint is not None:
            more["endpoint"] = more["aws_endpoint_url_s3"] = self._find_endpoint(place.endpoint)
        if place.access_key is not None:
            # Not as settings: a token of the environment's keys would be sent with these.
            more["credential_provider"] = self._give_keys
        return S3Store(
            place.bucket,
            prefix=place.prefix or None,
            virtual_hosted_style_request=not place.is_path_style,
            client_options={
                # An endpoint of the environment may be plain HTTP too.
                "allow_http": (place.endpoint or "http:").startswith("http:"),
                "connect_timeout": _CONNECT,
                "read_timeout": _SILENCE,
                "timeout": _REQUEST,
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": _RETRY_WITHIN,
                "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
            },
            **more,
        )

    def _find_endpoint(self, endpoint: str) -> str:
        scheme, _, rest = endpoint.partition("://")
        return endpoint if self._place.is_path_style else f"{scheme}://{self._place.bucket}.{rest}"

    def _give_keys(self) -> Any:
        place = self._place
        return {
            "access_key_id": place.access_key,
            "secret_access_key": place.secret_key,
            "token": place.session_token,
            "expires_at": None,
        }

    @contextmanager
    def explain(self, file_id: str | None = None) -> Generator[None]:
        """Raises StorageError for a fault of the library in the block; ObjectMissingError where `file_id` is what was not found."""
        try:
            yield
        except _FAULTS as fault:
            text = str(fault)
            is_missing = isinstance(fault, FileNotFoundError) and "NoSuchBucket" not in text
            if is_missing and file_id is not None:
                raise ObjectMissingError(file_id) from None
            raise self._describe(text) from fault

    def _describe(self, text: str) -> StorageError:
        code, status = _CODE.search(text), _STATUS.search(text)
        number = int(status[1]) if status else 0
        answer = f"it answered {number}" + (f" {code[1]}" if code else "")
        if code is not None and code[1] == "NoSuchBucket":
            return self._refuse("there is no such bucket; make it, or mend OBJECT_STORE_URL")
        if number in {401, 403}:
            return self._refuse(f"{answer}; look at its keys, and at what they allow")
        if number == 507 or _FULL.search(text):
            return self._refuse(f"there is no room left ({answer}); make some, nothing is lost", is_full=True)
        if number:
            return self._refuse(f"{answer}; look at the server's own log")
        # The first line has the address and what went wrong; what follows is the library's structures.
        return self._refuse(f"it cannot be reached ({text.partition('Debug source')[0].strip()[:300]}); look whether it runs")

    def _refuse(self, said: str, *, is_full: bool = False) -> StorageError:
        kind, finer = (StorageFullError, "storage_full") if is_full else (StorageError, "storage_failed")
        message = f"The object store {self._place} cannot be used: {said}."
        return kind(message, [Detail(field="OBJECT_STORE_URL", message=message, code=finer)])


class _BucketDraft:
    """An upload in parts, or one put where all of it fits into a part."""

    def __init__(self, shelf: BucketShelf, writer: "WritableFile") -> None:
        self._shelf = shelf
        self._writer: WritableFile | None = writer

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._writer is None:
            raise ValueError("This file is closed.")
        with self._shelf.explain():
            # The library keeps what it is given: a buffer that the caller uses again would change under it.
            self._writer.write(bytes(data))

    def commit(self) -> None:
        if self._writer is None:
            raise ValueError("This file is closed.")
        with self._shelf.explain():
            self._writer.close()
        self._writer = None

    def discard(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        fault = InvalidPathError("discarded")
        try:
            # As if the block of a `with` had failed: then the library gives the parts up.
            writer.__exit__(type(fault), fault, None)  # pyright: ignore[reportUnknownMemberType] - the library types no parameter
        except _FAULTS:
            # The bucket's lifecycle rule does it; the fault that is being told must not be hidden by this one.
            return


class _BucketStream(io.RawIOBase):
    """An object as a stream in which can be sought, read piece by piece."""

    def __init__(self, shelf: BucketShelf, file_id: str, size_bytes: int, piece: bytes) -> None:
        super().__init__()
        self._shelf = shelf
        self._file_id = file_id
        self._size_bytes = size_bytes
        self._piece = piece
        self._piece_start = 0
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, begin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if self._position >= self._size_bytes:
            return 0
        if not self._piece_start <= self._position < self._piece_start + len(self._piece):
            length = min(_PIECE_BYTES, self._size_bytes - self._position)
            self._piece = self._shelf.read_piece(self._file_id, self._position, length)
            self._piece_start = self._position
        view = memoryview(buffer).cast("B")
        begin = self._position - self._piece_start
        taken = self._piece[begin : begin + len(view)]
        view[: len(taken)] = taken
        self._position += len(taken)
        return len(taken)


def _key_of(file_id: str) -> str:
    return "/".join(place_of(file_id))


def _is_empty(text: str) -> bool:
    """An object without a byte has no range."""
    status = _STATUS.search(text)
    return status is not None and status[1] == "416"


def _read_page(page: Any, prefix: str) -> Iterator[StoredObject]:
    for found in page:
        name = str(found["path"]).rpartition("/")[2]
        if is_id(name, prefix):
            yield StoredObject(name, found["size"], int(found["last_modified"].timestamp() * 1000))
