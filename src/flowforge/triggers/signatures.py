"""Who sends a delivery: the forms of `auth`, over the raw bytes of the body. Every comparison takes the same time whatever is wrong.

Forms: docs/triggers.md. A secret that is empty proves nothing.
"""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.triggers.errors import DeliveryIdError, SignatureError

SIGNATURES_READ_MAX: Final = 5
TOLERANCE_S: Final = 300
_TIMESTAMP: Final = re.compile(r"[1-9][0-9]{0,10}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_STANDARD_PREFIX: Final = "whsec_"
_BASIC_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery as it came. `headers`: values by name in lower case."""

    headers: Mapping[str, Sequence[str]]
    body: bytes
    now_ms: int

    def find_one(self, name: str) -> str:
        """The header's value; empty where it is missing or there several times."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else ""


Verify = Callable[[Sent], None]
"""Raises SignatureError unless the delivery proves where it comes from."""


def refuse_all(_sent: Sent) -> None:
    """For a hook whose secrets cannot be had: nobody can prove anything."""
    raise SignatureError


def accept_all(_sent: Sent) -> None:
    """`auth: none`."""


def make_verifier(form: str, secret: JsonValue) -> Verify:
    """`form`: none, or one of `auth`'s fields; `secret`: its value with the secrets put in."""
    if form == "none":
        return accept_all
    if form == "basic":
        return _make_basic(cast("JsonObject", secret))
    if form == "api_key":
        return _make_api_key(cast("JsonObject", secret))
    keys = [key for key in _list_texts(secret) if key]
    return _FORMS[form](keys) if keys else refuse_all


def _list_texts(value: JsonValue) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _make_hmac(keys: Sequence[str]) -> Verify:
    encoded = [key.encode() for key in keys]

    def verify(sent: Sent) -> None:
        texts = [text.strip() for value in sent.headers.get("x-webhook-signature", ()) for text in _cut(value)]
        _require_hex(_list_after(texts, "sha256="), encoded, sent.body)

    return verify


def _make_github(keys: Sequence[str]) -> Verify:
    encoded = [key.encode() for key in keys]

    def verify(sent: Sent) -> None:
        _require_hex(_list_after([sent.find_one("x-hub-signature-256")], "sha256="), encoded, sent.body)

    return verify


def _make_slack(keys: Sequence[str]) -> Verify:
    encoded = [key.encode() for key in keys]

    def verify(sent: Sent) -> None:
        timestamp = sent.find_one("x-slack-request-timestamp")
        signed = b"v0:" + timestamp.encode() + b":" + sent.body
        _require_hex(_list_after([sent.find_one("x-slack-signature")], "v0="), encoded, signed)
        _require_recent(timestamp, sent.now_ms)

    return verify


def _make_stripe(keys: Sequence[str]) -> Verify:
    encoded = [key.encode() for key in keys]

    def verify(sent: Sent) -> None:
        parts = [part.strip() for part in _cut(sent.find_one("stripe-signature"), SIGNATURES_READ_MAX + 2)]
        times = _list_after(parts, "t=")
        timestamp = times[0] if len(times) == 1 else ""
        _require_hex(_list_after(parts, "v1="), encoded, timestamp.encode() + b"." + sent.body)
        _require_recent(timestamp, sent.now_ms)

    return verify


def _make_standard(keys: Sequence[str]) -> Verify:
    encoded = [_read_standard_key(key) for key in keys]

    def verify(sent: Sent) -> None:
        delivery_id, timestamp = sent.find_one("webhook-id"), sent.find_one("webhook-timestamp")
        given = _list_after(sent.find_one("webhook-signature").split(" ", SIGNATURES_READ_MAX)[:SIGNATURES_READ_MAX], "v1,")
        if given and not delivery_id:
            raise DeliveryIdError("webhook-id", "The header webhook-id is missing; it is part of what is signed.")
        signed = delivery_id.encode(errors="replace") + b"." + timestamp.encode() + b"." + sent.body
        wanted = [b64encode(hmac.digest(key, signed, "sha256")) for key in encoded]
        _require_any((text.encode(errors="replace") for text in given), wanted)
        _require_recent(timestamp, sent.now_ms)

    return verify


def _read_standard_key(key: str) -> bytes:
    """`whsec_` and base64; any other text is the key itself."""
    if not key.startswith(_STANDARD_PREFIX):
        return key.encode()
    try:
        return b64decode(key.removeprefix(_STANDARD_PREFIX), validate=True)
    except Base64Error:
        return key.encode()


def _make_bearer(keys: Sequence[str]) -> Verify:
    wanted = [key.encode() for key in keys]

    def verify(sent: Sent) -> None:
        scheme, _, token = sent.find_one("authorization").partition(" ")
        if scheme.lower() != "bearer":
            raise SignatureError
        _require_any([token.strip().encode("latin-1", "replace")], wanted)

    return verify


def _make_basic(secret: JsonObject) -> Verify:
    user, password = str(secret.get("user", "")), str(secret.get("password", ""))
    if not user or not password:
        return refuse_all
    wanted = [f"{user}:{password}".encode()]

    def verify(sent: Sent) -> None:
        scheme, _, encoded = sent.find_one("authorization").partition(" ")
        if scheme.lower() != "basic" or len(encoded) > _BASIC_MAX:
            raise SignatureError
        try:
            given = b64decode(encoded.strip(), validate=True)
        except (Base64Error, ValueError):
            raise SignatureError from None
        _require_any([given], wanted)

    return verify


def _make_api_key(secret: JsonObject) -> Verify:
    header, wanted = str(secret.get("header", "")).lower(), [key.encode() for key in _list_texts(secret.get("value")) if key]
    if not header or not wanted:
        return refuse_all

    def verify(sent: Sent) -> None:
        _require_any([sent.find_one(header).encode("latin-1", "replace")], wanted)

    return verify


_FORMS: Final[Mapping[str, Callable[[Sequence[str]], Verify]]] = {
    "hmac": _make_hmac,
    "standard": _make_standard,
    "github": _make_github,
    "stripe": _make_stripe,
    "slack": _make_slack,
    "bearer": _make_bearer,
}


def _cut(value: str, most: int = SIGNATURES_READ_MAX) -> list[str]:
    """The first parts of a comma list."""
    return value.split(",", most)[:most]


def _list_after(texts: Iterable[str], prefix: str) -> list[str]:
    """What stands behind the prefix, where it is there; the first five."""
    return [text.removeprefix(prefix) for text in texts if text.startswith(prefix)][:SIGNATURES_READ_MAX]


def _require_hex(given: Sequence[str], keys: Sequence[bytes], signed: bytes) -> None:
    well_formed = [text.encode() for text in given if _HEX.fullmatch(text)]
    if not well_formed:
        raise SignatureError
    wanted = [hmac.new(key, signed, hashlib.sha256).hexdigest().encode() for key in keys]
    _require_any(well_formed, wanted)


def _require_any(given: Iterable[bytes], wanted: Sequence[bytes]) -> None:
    """Every pair is compared, also after one that is equal."""
    found = False
    for text in given:
        for right in wanted:
            found |= hmac.compare_digest(text, right)
    if not found:
        raise SignatureError


def _require_recent(timestamp: str, now_ms: int) -> None:
    if not _TIMESTAMP.fullmatch(timestamp) or abs(now_ms / 1_000 - int(timestamp)) > TOLERANCE_S:
        message = f"The delivery was signed more than {TOLERANCE_S} s ago, or by a clock that is wrong."
        raise SignatureError(message, reason="timestamp")
