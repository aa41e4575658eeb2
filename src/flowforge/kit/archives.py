"""Zip archives and gzip streams that others made, read without trust; and the writing of our own, the same bytes for the same content.

The forms are those of PKWARE's APPNOTE.TXT 6.3 and of RFC 1952. Everything about an archive is checked before the first byte of an entry
is unpacked; what is unpacked is counted, and held against the size and the CRC that were promised.
"""

import gzip
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final, Literal, Protocol, cast

from flowforge.kit.errors import RequestError
from flowforge.kit.limits import Limits
from flowforge.kit.paths import DRAFT_PREFIX
from flowforge.kit.units import format_size

PIECE_BYTES: Final = 2**18
RATIO_FLOOR_BYTES: Final = 2**20
"""So much may come out of however little: a short text of one letter packs to a thousandth and harms nobody."""
NAME_MAX_BYTES: Final = 255
DEPTH_MAX: Final = 50

Compression = Literal["deflate", "store"]

_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest that the form can hold: an archive does not depend on when it is made."""
_ENCRYPTED: Final = 0x1 | 0x40
_PATCH_DATA: Final = 0x20
_SIZES_BEHIND: Final = 0x8
_NAME_IN_UTF8: Final = 0x800
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL_BYTES: Final = 46
_CENTRAL_EXTRA_BYTES: Final = 2_048
"""What an entry of the directory may have, on average, beside its fixed part: name, extra fields, comment."""
_OTHERS: Final = (
    (b"\x1f\x8b", "gzip; use file.gunzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "RAR"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
)
_TAR_MARK: Final = (257, b"ustar")


class ArchiveFault(StrEnum):
    """Error codes of archives; a step's error carries the same."""

    EMPTY = "file_empty"
    CORRUPT = "zip_corrupt"
    UNSUPPORTED = "zip_unsupported"
    ENTRIES = "zip_entries"
    TOTAL = "zip_total"
    RATIO = "zip_ratio"
    OVERLAP = "zip_overlap"
    PATH = "zip_path"
    LINK = "zip_link"
    DUPLICATE = "zip_duplicate"


class ArchiveError(RequestError):
    """The archive cannot, or must not, be unpacked."""

    def __init__(self, fault: ArchiveFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Sink(Protocol):
    """What takes bytes one piece after another, such as a writer of the object store or of a root."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A file or folder in an archive. `path` is relative, of plain names joined by `/`."""

    path: str
    is_folder: bool
    size_bytes: int
    info: zipfile.ZipInfo


class ArchiveReader:
    """A zip archive whose entries were all found to be in order. Make it with `open_archive`."""

    def __init__(self, archive: zipfile.ZipFile, entries: list[ArchiveEntry]) -> None:
        self._archive = archive
        self.entries = entries

    def unpack(self, entry: ArchiveEntry) -> Iterator[bytes]:
        """The content of a file, in pieces.

        Raises:
            ArchiveError: `zip_corrupt`, the content is not what its header promised; told with, or before, the last piece.
        """
        with _explain_corruption(entry.path), self._archive.open(entry.info) as file:
            left_bytes = entry.size_bytes
            while piece := file.read(PIECE_BYTES):
                left_bytes -= len(piece)
                yield piece
        if left_bytes:
            raise _corrupt(f"{entry.path!r} holds another number of bytes than promised")


@contextmanager
def open_archive(file: BinaryIO, limits: Limits, encoding: str = "cp437") -> Generator[ArchiveReader]:
    """Reads and checks the directory of an archive. `encoding` is that of names which are not marked as UTF-8.

    Raises:
        ArchiveError: see ArchiveFault for every reason.
    """
    size_bytes = file.seek(0, 2)
    _check_form(file, size_bytes, limits)
    with _explain_corruption("the directory"):
        archive = zipfile.ZipFile(file, metadata_encoding=encoding)
    with archive:
        infos = archive.infolist()
        if len(infos) > limits.zip_entries:
            raise _too_many(len(infos), limits)
        entries = [entry for info in infos if (entry := _read_entry(info)) is not None]
        check_names((entry.path, entry.is_folder) for entry in entries)
        _check_growth(sum(info.file_size for info in infos), size_bytes, limits)
        with _explain_corruption("the headers"):
            _check_layout(file, archive, encoding)
        yield ArchiveReader(archive, entries)


def _check_form(file: BinaryIO, size_bytes: int, limits: Limits) -> None:
    """Before the library reads the whole directory into memory: is it one, and how large does it say it is?"""
    if size_bytes == 0:
        raise ArchiveError(ArchiveFault.EMPTY, "The file is empty; an archive was expected.")
    tail_bytes = min(size_bytes, _END.size + 0xFFFF)
    file.seek(size_bytes - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise _refuse_form(file)
    _, disk, _, _, count, directory_bytes, _, _ = _END.unpack_from(tail, at)
    count, directory_bytes, disk = _read_end_64(file, size_bytes - tail_bytes + at) or (count, directory_bytes, disk)
    if disk not in {0, 0xFFFF}:
        raise ArchiveError(ArchiveFault.UNSUPPORTED, "The archive is split over several files; join them first.")
    if count > limits.zip_entries:
        raise _too_many(count, limits)
    if directory_bytes > size_bytes or directory_bytes > (count + 1) * (_CENTRAL_BYTES + _CENTRAL_EXTRA_BYTES):
        raise _corrupt("its directory is larger than its entries can be")


def _read_end_64(file: BinaryIO, end_at: int) -> tuple[int, int, int] | None:
    """What the record for large archives says, where the library looks for it: right before its locator, if there is one."""
    place = end_at - _LOCATOR_64.size - _END_64.size
    if place < 0:
        return None
    file.seek(place)
    record = file.read(_END_64.size)
    if not file.read(_LOCATOR_64.size).startswith(b"PK\6\7") or not record.startswith(b"PK\6\6"):
        return None
    _, _, _, _, disk, _, _, count, directory_bytes, _ = _END_64.unpack(record)
    return count, directory_bytes, disk


def _refuse_form(file: BinaryIO) -> ArchiveError:
    file.seek(0)
    head = file.read(512)
    for mark, name in _OTHERS:
        if head.startswith(mark):
            return ArchiveError(ArchiveFault.UNSUPPORTED, f"The file is no zip archive but {name}; only zip can be unpacked.")
    at, mark = _TAR_MARK
    if head[at:].startswith(mark):
        return ArchiveError(ArchiveFault.UNSUPPORTED, "The file is no zip archive but tar; only zip can be unpacked.")
    if head.startswith(b"PK"):
        return _corrupt("its end is missing")
    return ArchiveError(ArchiveFault.UNSUPPORTED, "The file is no zip archive.")


def _read_entry(info: zipfile.ZipInfo) -> ArchiveEntry | None:
    name = info.orig_filename
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveError(ArchiveFault.UNSUPPORTED, f"{name[:200]!r} is encrypted; only open archives can be unpacked.")
    if info.compress_type not in _METHODS or info.flag_bits & _PATCH_DATA:
        raise ArchiveError(
            ArchiveFault.UNSUPPORTED,
            f"{name[:200]!r} is packed with method {info.compress_type}; only 0 (store) and 8 (deflate) can be unpacked.",
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise ArchiveError(ArchiveFault.LINK, f"{name[:200]!r} is a link or a device; those are not unpacked.")
    path = check_entry_path(name)
    is_folder = name.endswith("/")
    if is_folder and info.file_size:
        raise _corrupt(f"the folder {name[:200]!r} has content")
    return ArchiveEntry(path, is_folder=is_folder, size_bytes=info.file_size, info=info) if path else None


def check_entry_path(name: str) -> str:
    """The path of an entry, as one below the folder that it is unpacked to; empty for that folder itself (`./`).

    Raises:
        ArchiveError: `zip_path`.
    """
    path = name.removeprefix("./").removesuffix("/")
    parts = path.split("/")
    is_bad = (
        any(part in {"", ".", ".."} or part.startswith(DRAFT_PREFIX) for part in parts)
        or any(len(part.encode(errors="surrogatepass")) > NAME_MAX_BYTES for part in parts)
        or any(unicodedata.category(char) in {"Cc", "Cs"} or char == "\\" for char in path)
        or _DRIVE.match(path) is not None
        or len(parts) > DEPTH_MAX
    )
    if path and is_bad:
        raise ArchiveError(
            ArchiveFault.PATH,
            f"The entry {name[:200]!r} is no plain path below a folder (names joined by /, of at most {NAME_MAX_BYTES} bytes, without .., "
            f"backslashes and control characters, at most {DEPTH_MAX} deep).",
        )
    return path


def check_names(names: Iterable[tuple[str, bool]]) -> None:
    """Looks for two entries in one place, also where a disk does not tell upper from lower case or one Unicode form from another.

    Each is given as its path and whether it is a folder; a folder may come twice.

    Raises:
        ArchiveError: `zip_duplicate`.
    """
    seen: dict[str, tuple[str, bool]] = {}
    paths = list(names)
    for path, is_folder in paths:
        other = seen.get(fold_path(path))
        if other is not None and not (is_folder and other == (path, True)):
            raise ArchiveError(ArchiveFault.DUPLICATE, f"The entries {other[0]!r} and {path!r} would be the same file.")
        seen[fold_path(path)] = (path, is_folder)
    for path, _ in paths:
        above = path.rpartition("/")[0]
        while above:
            other, is_folder = seen.get(fold_path(above), (above, True))
            if not is_folder:
                raise ArchiveError(ArchiveFault.DUPLICATE, f"{other!r} is a file and, for {path!r}, a folder.")
            above = above.rpartition("/")[0]


def fold_path(path: str) -> str:
    """The same for paths that some disks take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _check_growth(total_bytes: int, packed_bytes: int, limits: Limits) -> None:
    if total_bytes > max(packed_bytes * limits.zip_ratio, RATIO_FLOOR_BYTES):
        raise ArchiveError(
            ArchiveFault.RATIO,
            f"Unpacked the file would be more than {limits.zip_ratio} times as large (LIMIT_ZIP_RATIO); this is how attacks look.",
        )
    if total_bytes > limits.zip_total_bytes:
        raise ArchiveError(
            ArchiveFault.TOTAL, f"Unpacked the file is larger than {format_size(limits.zip_total_bytes)} (LIMIT_ZIP_TOTAL)."
        )


def _check_layout(file: BinaryIO, archive: zipfile.ZipFile, encoding: str) -> None:
    """Each entry's own header says what the directory says, and no two share bytes."""
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise ArchiveError(ArchiveFault.OVERLAP, f"The entry {info.orig_filename[:200]!r} overlaps another one.")
        end = _check_local(file, info, encoding) + info.compress_size
        if end > archive.start_dir:
            raise _corrupt(f"the entry {info.orig_filename[:200]!r} reaches beyond its place")


def _check_local(file: BinaryIO, info: zipfile.ZipInfo, encoding: str) -> int:
    """Where the entry's content begins."""
    shown = f"{info.orig_filename[:200]!r}"
    file.seek(info.header_offset)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\3\4"):
        raise _corrupt(f"the header of {shown} is missing")
    _, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = _LOCAL.unpack(head)
    written = file.read(name_bytes).decode("utf-8" if flags & _NAME_IN_UTF8 else encoding, errors="replace")
    if written != info.orig_filename or method != info.compress_type or (flags ^ info.flag_bits) & _ENCRYPTED:
        raise _corrupt(f"the header of {shown} and the directory disagree")
    facts = ((crc, info.CRC, 0), (packed, info.compress_size, 0xFFFFFFFF), (size, info.file_size, 0xFFFFFFFF))
    for here, promised, elsewhere in facts:
        # Sizes may stand behind the content instead (zeros here), or in a field for large ones (all bits set here).
        if here != promised and not (flags & _SIZES_BEHIND and here == 0) and not (elsewhere and here == elsewhere):
            raise _corrupt(f"the header of {shown} and the directory disagree on its size or checksum")
    return info.header_offset + _LOCAL.size + name_bytes + extra_bytes


def _too_many(count: int, limits: Limits) -> ArchiveError:
    return ArchiveError(
        ArchiveFault.ENTRIES, f"The archive has {count} entries; at most {limits.zip_entries} are unpacked (LIMIT_ZIP_ENTRIES)."
    )


def _corrupt(why: str) -> ArchiveError:
    return ArchiveError(ArchiveFault.CORRUPT, f"The archive is damaged: {why}.")


@contextmanager
def _explain_corruption(what: str) -> Generator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, UnicodeError, ValueError) as error:
        raise _corrupt(f"{what[:200]} cannot be read ({error})") from error
    except (NotImplementedError, RuntimeError) as error:
        raise ArchiveError(ArchiveFault.UNSUPPORTED, f"{what[:200]} cannot be unpacked: {error}.") from error


class _Stream:
    """A sink as the library wants it: without `tell` it writes sizes behind the content, and never goes back."""

    def __init__(self, sink: Sink) -> None:
        self._sink: Sink | None = sink

    def write(self, data: bytes) -> int:
        if self._sink is not None:
            self._sink.write(bytes(data))
        return len(data)

    def let_go(self) -> None:
        """What is still written goes nowhere."""
        self._sink = None

    def flush(self) -> None:
        """Nothing is held back."""


class ArchiveWriter:
    """A zip archive that is written piece by piece. The same entries in the same order give the same bytes. Use as a context manager."""

    def __init__(self, sink: Sink, compression: Compression, level: int) -> None:
        self._method = zipfile.ZIP_DEFLATED if compression == "deflate" else zipfile.ZIP_STORED
        self._level = level
        self._stream = _Stream(sink)
        self._archive = zipfile.ZipFile(cast("BinaryIO", self._stream), "w", self._method)

    def add_file(self, path: str, file: BinaryIO, size_bytes: int) -> int:
        """Adds a file of about the given size, which decides on the form for large ones; how many bytes it was."""
        info = self._describe(path, stat.S_IFREG | 0o644)
        info.file_size = size_bytes
        written = 0
        with self._archive.open(info, "w") as entry:
            while piece := file.read(PIECE_BYTES):
                entry.write(piece)
                written += len(piece)
        return written

    def add_folder(self, path: str) -> None:
        info = self._describe(f"{path}/", stat.S_IFDIR | 0o755)
        info.compress_type = zipfile.ZIP_STORED
        info.external_attr |= 0x10  # a folder, for readers that know MS-DOS only
        with self._archive.open(info, "w"):
            pass

    def _describe(self, path: str, mode: int) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(path, _FIXED_TIME)
        info.create_system = 3
        info.compress_type = self._method
        info._compresslevel = self._level  # noqa: SLF001 # pyright: ignore[reportAttributeAccessIssue] - the library has no other way for open()
        info.external_attr = mode << 16
        return info

    def __enter__(self) -> "ArchiveWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is not None:
            self._stream.let_go()  # the library writes the directory when it closes, at the latest when it is collected
        self._archive.close()


def gzip_pieces(file: BinaryIO, sink: Sink, level: int) -> int:
    """Packs a stream as gzip, without name and time, so that the same content gives the same bytes; how many bytes went in."""
    size_bytes = 0
    with gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=_Stream(sink), mtime=0) as packer:
        while piece := file.read(PIECE_BYTES):
            packer.write(piece)
            size_bytes += len(piece)
    return size_bytes


def gunzip_pieces(file: BinaryIO, limits: Limits) -> Iterator[bytes]:
    """Unpacks a gzip stream, of one or several members.

    Raises:
        ArchiveError: `file_empty`, `zip_unsupported` (no gzip), `zip_corrupt`, `zip_ratio`, `zip_total`; never after more than
            LIMIT_ZIP_TOTAL bytes and one piece.
    """
    packed_bytes = file.seek(0, 2)
    file.seek(0)
    head = file.read(2)
    if not head:
        raise ArchiveError(ArchiveFault.EMPTY, "The file is empty; gzip was expected.")
    if head != b"\x1f\x8b":
        raise ArchiveError(ArchiveFault.UNSUPPORTED, "The file is no gzip.")
    file.seek(0)
    total_bytes = 0
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacker:
            while piece := unpacker.read(PIECE_BYTES):
                total_bytes += len(piece)
                _check_growth(total_bytes, packed_bytes, limits)
                yield piece
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ArchiveError(ArchiveFault.CORRUPT, f"The gzip stream is damaged: {error}.") from error
