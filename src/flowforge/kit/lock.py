"""A lock that the kernel gives back when its holder dies, however it dies."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from flowforge.kit.errors import ConflictError, Detail

_TRIES: Final = 10
_PAUSE_S: Final = 0.005


class LockHeldError(ConflictError):
    """Another process (or another part of this one) holds the lock."""

    def __init__(self, path: Path) -> None:
        message = f"{path} is held by another process; stop that one first."
        super().__init__(message, [Detail(field="", message=message, code="lock_held")])


class FileLock:
    """An exclusive lock on a file (flock), held until `release`, the end of a `with`, or the death of the process.

    Children made by fork do not hold it on; programs that are started do not either.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        os.register_at_fork(after_in_child=self._close)

    def release(self) -> None:
        """Give the lock back; the file stays. May be called again."""
        if self._descriptor is not None:
            # Unlocked by hand, because a child that is just being forked has the descriptor for an instant too.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def acquire_lock(path: Path) -> FileLock:
    """Take the lock, making the file (0600) where there is none.

    Raises:
        LockHeldError: somebody has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # A few tries, because `is_lock_held` takes the lock for an instant to learn whether it is free.
    for remaining in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not remaining:
                os.close(descriptor)
                raise LockHeldError(path) from None
            time.sleep(_PAUSE_S)
        else:
            break
    return FileLock(path, descriptor)


def wait_for_lock(path: Path) -> FileLock:
    """As `acquire_lock`, but waits until it is free: for what is held for moments only. Blocks; raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return FileLock(path, descriptor)


def is_lock_held(path: Path) -> bool:
    """Whether a living process holds the lock; False too where the file does not exist."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
