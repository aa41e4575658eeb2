"""Where log lines end up. Written without Python's buffers: a thread that hangs in one would hold up the end of the process."""

import os
from pathlib import Path
from typing import Final

_FILE_BYTES: Final = 10 * 2**20
_FILES_KEPT: Final = 5


class StreamOutput:
    """A file descriptor of the process; 2 is standard error."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = os.dup(descriptor)

    def write(self, data: bytes) -> None:
        _write_all(self._descriptor, data)

    def close(self) -> None:
        os.close(self._descriptor)


class FileOutput:
    """A file that is put aside at 10 MiB: `flowforge.log`, then `flowforge.log.1` (the youngest) to `.5`."""

    def __init__(self, path: Path, *, file_bytes: int = _FILE_BYTES, files_kept: int = _FILES_KEPT) -> None:
        self._path = path
        self._file_bytes = file_bytes
        self._files_kept = files_kept
        self._descriptor = _open_to_append(path)
        self._written_bytes = path.stat().st_size

    def write(self, data: bytes) -> None:
        if self._written_bytes and self._written_bytes + len(data) > self._file_bytes:
            self._rotate()
        self._written_bytes += len(data)
        _write_all(self._descriptor, data)

    def close(self) -> None:
        os.close(self._descriptor)

    def _rotate(self) -> None:
        os.close(self._descriptor)
        for number in range(self._files_kept - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._descriptor = _open_to_append(self._path)
        self._written_bytes = 0


def _open_to_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
