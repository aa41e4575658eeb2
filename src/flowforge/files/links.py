"""Links by which whoever has one can fetch one file for a while: workspace, file and end, with an HMAC over them."""

import hashlib
import hmac
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from typing import Final

from flowforge.files.errors import FileNotFoundHereError
from flowforge.kit.signing import encode_base64url

_SEPARATOR: Final = "."


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
            data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            told, signature = data[:-32], data[-32:]
            workspace_id, file_id, expires_at = told.decode().split(_SEPARATOR)
            is_good = hmac.compare_digest(signature, self._sign(told)) and now_ms < int(expires_at)
        except (Base64Error, UnicodeError, ValueError):
            is_good, workspace_id, file_id = False, "", ""
        if not is_good:
            raise FileNotFoundHereError("of this link")
        return workspace_id, file_id

    def _sign(self, told: bytes) -> bytes:
        return hmac.digest(self._key, told, hashlib.sha256)
