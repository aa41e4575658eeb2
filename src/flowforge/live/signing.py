"""How an event that goes outside is signed: Standard Webhooks (standardwebhooks.com), symmetric signatures."""

import hashlib
import hmac
from base64 import b64decode, b64encode

from flowforge.live.subscriptions import SECRET_PREFIX


def sign(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: HMAC-SHA256 over id, time and body."""
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{at_s}.".encode() + body
    return "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
