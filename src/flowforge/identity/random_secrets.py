"""Random texts that prove something to us: only their digests are stored."""

import hashlib
from typing import Final

from flowforge.kit.chance import draw_bytes
from flowforge.kit.signing import encode_base64url

SECRET_LENGTH: Final = 43
"""32 random bytes, in base64url without padding."""


def draw_secret() -> str:
    """43 characters that nobody can guess."""
    return encode_base64url(draw_bytes(32))


def digest_secret(secret: str) -> str:
    """SHA-256, in hexadecimal: enough for what has 256 random bits. Looking a row up by it takes no time that tells of other rows."""
    return hashlib.sha256(secret.encode()).hexdigest()
