"""Why a file below a root cannot be used as asked."""

import contextlib
import errno
from collections.abc import Generator
from enum import StrEnum

from flowforge.kit.errors import RequestError


class PathFault(StrEnum):
    """Error codes of file access; a step's error carries the same."""

    DENIED = "path_denied"
    ROOT_UNKNOWN = "root_unknown"
    MISSING = "file_missing"
    EXISTS = "file_exists"
    KIND = "file_kind"
    INSIDE = "path_inside"
    NOT_EMPTY = "folder_not_empty"
    TOO_LARGE = "file_too_large"
    FULL = "storage_full"
    FAILED = "file_failed"


class PathError(RequestError):
    """The file cannot be used as asked."""

    def __init__(self, fault: PathFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@contextlib.contextmanager
def explain_os_errors(path: str) -> Generator[None]:
    """Makes a PathError of every OSError."""
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, path) from error


def explain_os_error(error: OSError, path: str) -> PathError:
    """The error in words that name the path."""
    match error.errno:
        case errno.ENOENT:
            return PathError(PathFault.MISSING, f"There is no {path!r}.")
        case errno.EEXIST | errno.ENOTEMPTY:
            return PathError(PathFault.EXISTS, f"There is a {path!r} already; replace it, or choose another name.")
        case errno.ELOOP:
            return refuse_over_link(path)
        case errno.ENOTDIR | errno.EISDIR | errno.ENXIO:
            return PathError(
                PathFault.KIND, f"{path!r} is, or leads through, something of another kind than asked for (file or folder)."
            )
        case errno.ENAMETOOLONG | errno.EINVAL | errno.EILSEQ:
            return PathError(PathFault.DENIED, f"{path[:80]!r} is no name that this disk can hold.")
        case errno.ENOSPC | errno.EDQUOT:
            return PathError(PathFault.FULL, f"There is no room left on the disk for {path!r}; free some space.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return PathError(PathFault.DENIED, f"{path!r} may not be used by this process ({error.strerror}).")
        case _:
            return PathError(PathFault.FAILED, f"{path!r} cannot be used: {error.strerror}.")


def refuse_over_link(path: str) -> PathError:
    return PathError(PathFault.DENIED, f"{path!r} leads over a link, which is not followed; name the file itself.")
