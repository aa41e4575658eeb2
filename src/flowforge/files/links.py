"""Links by which whoever has one can fetch one file for a while: workspace, file and end, with an HMAC over them."""

import hashlib
import hmac
from typing import Final

from flowforge.files.errors import FileNotFoundHereError, LinkLifeError
from flowforge.kit.signing import decode_base64url, encode_base64url
from flowforge.kit.units import parse_duration

_SEPARATOR: Final = "."
_LIFE_MIN_MS: Final = 60_000
_LIFE_MAX_MS: Final = 7 * 86_400_000


def read_link_life(text: str) -> int:
    """Milliseconds that a link is good for.

    Raises:
        LinkLifeError: it is no length of time from a minute to a week.
    """
    try:
        life_ms = parse_duration(text)
    except ValueError:
        life_ms = 0
    if not _LIFE_MIN_MS <= life_ms <= _LIFE_MAX_MS:
        raise LinkLifeError
    return life_ms


class FileLinks:
    """`key`: 32 bytes for this purpose alone."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, workspace_id: str, file_id: str, expires_at_ms: int) -> str:
        """The token of a link."""
        told = _SEPARATOR.join((workspace_id, file_id, str(expires_at_ms))).encode()
        return encode_base64url(told + self._sign(told))

    def read(self, token: str, now_ms: int) -> tuple[str, str]:
        """Workspace and file.

        Raises:
            FileNotFoundHereError: it is none of ours, or its time is over: nothing says which.
        """
        try:
            data = decode_base64url(token)
            told, signature = data[:-32], data[-32:]
            workspace_id, file_id, expires_at = told.decode().split(_SEPARATOR)
            is_good = hmac.compare_digest(signature, self._sign(told)) and now_ms < int(expires_at)
        except ValueError:
            is_good, workspace_id, file_id = False, "", ""
        if not is_good:
            raise FileNotFoundHereError("of this link")
        return workspace_id, file_id

    def _sign(self, told: bytes) -> bytes:
        return hmac.digest(self._key, told, hashlib.sha256)
