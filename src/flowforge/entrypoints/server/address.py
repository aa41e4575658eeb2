"""Where the server of a data folder can be reached: `run/server.json`, for the command line and for people."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from flowforge.kit.atomic import write_atomic
from flowforge.kit.border import decode, encode
from flowforge.kit.errors import InvariantError
from flowforge.kit.folder import DataFolder

NAME: Final = "server.json"


@contextmanager
def tell_address(folder: DataFolder, address: str) -> Generator[None]:
    """While the block lasts the file says where the server listens, and in which process."""
    file = folder.run / NAME
    write_atomic(file, encode({"url": f"http://{address}", "pid": os.getpid()}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def find_address(folder: DataFolder) -> str | None:
    """The URL of the server that works on this folder; None: there is none, or it died without a word."""
    try:
        told = decode((folder.run / NAME).read_bytes())
    except (OSError, InvariantError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("url"), str) or not isinstance(told.get("pid"), int):
        return None
    return str(told["url"]) if _is_alive(int(str(told["pid"]))) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
