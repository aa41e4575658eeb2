"""The file of a backup: a compressed tar whose last member, the manifest, has the size and the SHA-256 of all others.

An archive without its manifest is one that was cut off. Members are `database.*`, `files/…`, `keys/keyring.json`, `manifest.json`.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final, Self, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as ModelError

from flowforge.kit.atomic import DraftFile
from flowforge.upkeep.errors import ArchiveInvalidError

FORMAT: Final = 1
DATABASE_NAMES: Final = {"sqlite": "database.sqlite", "postgres": "database.pgdump", "mysql": "database.sql"}
KEYRING_NAME: Final = "keys/keyring.json"
FILES_PREFIX: Final = "files/"
_MANIFEST: Final = "manifest.json"
_MANIFEST_MOST_BYTES: Final = 256 * 2**20
_CHUNK_BYTES: Final = 1 << 20
_LEVEL: Final = 6
_FILE_NAME: Final = re.compile(r"files(/(?!\.)[A-Za-z0-9_.-]{1,128}){1,8}")
_DAMAGES: Final = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


def is_file_name(name: str) -> bool:
    """Whether a member of that name is a file of the object store."""
    return _FILE_NAME.fullmatch(name) is not None


class Member(BaseModel):
    """What a member must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What a backup is. `version`: of the FlowForge that made it; `server`: of its database; `tables`: rows of each."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    version: str
    kind: str
    server: str
    revision: str
    made_at: str
    tables: dict[str, int]
    has_files: bool
    has_keys: bool
    members: dict[str, Member]

    @property
    def database_name(self) -> str:
        return DATABASE_NAMES[self.kind]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a manifest says besides its members."""

    version: str
    kind: str
    server: str
    revision: str
    made_at: str
    tables: Mapping[str, int]
    has_files: bool
    has_keys: bool


class ArchiveWriter:
    """Writes an archive; it is at its place once `finish` has returned, and not before. Methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = DraftFile(path.parent)
        self._packed = gzip.GzipFile(
            filename="", mode="wb", compresslevel=_LEVEL, fileobj=cast("IO[bytes]", self._draft), mtime=0
        )
        self._tar = tarfile.open(fileobj=self._packed, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 (closed by finish)
        self._members: dict[str, Member] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._draft.discard()

    def add(self, name: str, file: BinaryIO, size_bytes: int) -> None:
        """The next `size_bytes` of the file as a member.

        Raises:
            EOFError: the file is shorter.
        """
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size_bytes, 0o600
        watched = _Watched(file)
        self._tar.addfile(entry, cast("IO[bytes]", watched))
        self._members[name] = Member(size_bytes=size_bytes, sha256=watched.digest.hexdigest())

    def finish(self, facts: Facts) -> Manifest:
        """The manifest goes in, and the archive to its place, where it survives a power cut."""
        manifest = Manifest(format=FORMAT, members=self._members, **asdict(facts))
        data = manifest.model_dump_json(indent=1).encode()
        entry = tarfile.TarInfo(_MANIFEST)
        entry.size, entry.mode = len(data), 0o600
        self._tar.addfile(entry, io.BytesIO(data))
        self._tar.close()
        self._packed.close()
        self._draft.move_to(self._path)
        return manifest


class _Watched:
    """A file that is read, with the digest of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def check_archive(path: Path) -> Manifest:
    """Reads the whole archive and compares each member with the manifest.

    Raises:
        ArchiveInvalidError: it is no backup, damaged, cut off, or of a newer form.
    """
    found: dict[str, Member] = {}
    text: bytes | None = None
    with _opened(path) as tar:
        for entry, file in _list_members(path, tar):
            if text is not None:
                raise ArchiveInvalidError(path, f"{entry.name} stands behind its manifest")
            if entry.name == _MANIFEST:
                text = file.read()
                continue
            if entry.name in found:
                raise ArchiveInvalidError(path, f"it holds {entry.name} twice")
            found[entry.name] = _measure(file)
    if text is None:
        raise ArchiveInvalidError(path, "it ends before its manifest; the backup was cut off")
    manifest = _read_manifest(path, text)
    _compare(path, manifest, found)
    return manifest


def extract_members(path: Path, manifest: Manifest, choose: Callable[[str], Path | None]) -> int:
    """Writes members to where `choose` says (None: left out), each checked again, each whole or not at all; how many were written.

    Raises:
        ArchiveInvalidError: the archive has changed since it was checked.
        OSError: a file cannot be written.
    """
    written = 0
    with _opened(path) as tar:
        for entry, file in _list_members(path, tar):
            target = None if entry.name == _MANIFEST else choose(entry.name)
            if target is None:
                continue
            _extract(path, file, target, manifest.members.get(entry.name))
            written += 1
    return written


def _extract(path: Path, file: IO[bytes], target: Path, wanted: Member | None) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = DraftFile(target.parent)
    try:
        if _measure(file, draft) != wanted:
            raise ArchiveInvalidError(path, f"what belongs to {target.name} has changed while it was read")
        draft.move_to(target)
    finally:
        draft.discard()


@contextmanager
def _opened(path: Path) -> Generator[tarfile.TarFile]:
    try:
        with gzip.open(path, "rb") as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            yield tar
    except _DAMAGES as fault:
        raise ArchiveInvalidError(path, f"it is damaged, cut off, or no backup ({fault})") from fault
    except FileNotFoundError:
        raise ArchiveInvalidError(path, "there is no such file") from None
    except IsADirectoryError:
        raise ArchiveInvalidError(path, "it is a folder") from None


def _list_members(path: Path, tar: tarfile.TarFile) -> Generator[tuple[tarfile.TarInfo, IO[bytes]]]:
    names = {*DATABASE_NAMES.values(), KEYRING_NAME, _MANIFEST}
    for entry in tar:
        if not entry.isreg() or (entry.name not in names and not is_file_name(entry.name)):
            raise ArchiveInvalidError(path, f"it holds {entry.name[:100]!r}, which no backup does")
        if entry.name == _MANIFEST and entry.size > _MANIFEST_MOST_BYTES:
            raise ArchiveInvalidError(path, "its manifest is too large")
        file = tar.extractfile(entry)
        assert file is not None, "a regular file has content"
        yield entry, file


def _measure(file: IO[bytes], draft: DraftFile | None = None) -> Member:
    digest, size_bytes = hashlib.sha256(), 0
    while data := file.read(_CHUNK_BYTES):
        digest.update(data)
        size_bytes += len(data)
        if draft is not None:
            draft.write(data)
    return Member(size_bytes=size_bytes, sha256=digest.hexdigest())


def _read_manifest(path: Path, text: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(text)
    except ModelError as fault:
        raise ArchiveInvalidError(path, f"its manifest cannot be read ({fault.error_count()} faults)") from fault
    if manifest.format > FORMAT:
        raise ArchiveInvalidError(path, f"a newer FlowForge ({manifest.version}) made it; restore it with that version")
    if manifest.kind not in DATABASE_NAMES:
        raise ArchiveInvalidError(path, f"it is of a database that is not known here ({manifest.kind})")
    return manifest


def _compare(path: Path, manifest: Manifest, found: Mapping[str, Member]) -> None:
    for name in sorted({*manifest.members, *found, manifest.database_name}):
        if name not in found:
            raise ArchiveInvalidError(path, f"{name} is missing")
        if found[name] != manifest.members.get(name):
            raise ArchiveInvalidError(path, f"{name} is not as it was when the backup was made (its SHA-256 differs)")
