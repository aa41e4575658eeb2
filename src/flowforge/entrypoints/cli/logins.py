"""The servers that this user is signed in to: a file in the user's own config folder, which nobody else reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from flowforge.entrypoints.cli.failures import UsageError
from flowforge.kit.atomic import write_atomic
from flowforge.kit.border import decode, encode
from flowforge.kit.errors import InvariantError
from flowforge.kit.values import JsonObject

_FILE: Final = "logins.json"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Login:
    """What proves to a server who asks. `refresh_token` None: `token` is an API key."""

    token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)


def find_logins_file(environ: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/flowforge/logins.json`, or the same below ~/.config."""
    base = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "flowforge" / _FILE


def check_address(url: str) -> str:
    """The server's address without a slash at its end.

    Raises:
        UsageError: it is none, or what proves who asks would go over the network for anybody to read.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise UsageError(f"{url!r} is no address of a server; write it like https://flowforge.example.com.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise UsageError(f"{url} would send your password or token where anybody can read it; use https.")
    return url.rstrip("/")


def find_login(path: Path, url: str) -> Login | None:
    """What is stored for a server. Raises UsageError where the file cannot be read."""
    found = _read(path).get(url)
    if not isinstance(found, dict) or not isinstance(found.get("token"), str):
        return None
    refresh = found.get("refresh_token")
    return Login(str(found["token"]), refresh if isinstance(refresh, str) else None)


def store_login(path: Path, url: str, login: Login) -> None:
    """Keeps it for the next calls, in a file of mode 0600. Raises UsageError where it cannot be written."""
    entry: JsonObject = {"token": login.token}
    if login.refresh_token is not None:
        entry["refresh_token"] = login.refresh_token
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, encode({**_read(path), url: entry}) + b"\n")
    except OSError as fault:
        raise UsageError(f"The file {path} cannot be written: {fault.strerror or fault}.") from fault


def _read(path: Path) -> JsonObject:
    try:
        found = decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise UsageError(f"The file {path} cannot be read: {fault.strerror or fault}.") from fault
    except InvariantError:
        raise UsageError(f"The file {path} is damaged; remove it and sign in again.") from None
    return cast("JsonObject", found) if isinstance(found, dict) else {}
