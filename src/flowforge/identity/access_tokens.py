"""Access tokens: JSON Web Tokens of one form only, signed with Ed25519 (RFC 7519, RFC 8037, RFC 9068).

Nothing in a token decides how it is verified: the algorithm and the type are fixed, `kid` only chooses among our own keys, and a header
with anything else in it is refused.
"""

import json
import re
from typing import Any, Final, cast

from flowforge.identity.types_accounts import AccessClaims
from flowforge.kit.border import encode
from flowforge.kit.settings import Settings
from flowforge.kit.signing import ALGORITHM, SigningKeys, decode_base64url, encode_base64url
from flowforge.kit.values import JsonObject

ACCESS_TOKEN_MS: Final = 15 * 60_000
AUDIENCE: Final = "flowforge-api"
TYPE: Final = "at+jwt"
LEEWAY_S: Final = 60
"""Clocks of machines may differ by this much."""
_MOST_CHARACTERS: Final = 4_096
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})")
_HEADER_FIELDS: Final = frozenset({"alg", "kid", "typ"})


class _Refused(Exception):
    """The token is not good; nobody is told why."""


class AccessTokens:
    """Makes access tokens and reads them. `issuer` is what every token must name."""

    def __init__(self, signing: SigningKeys, settings: Settings) -> None:
        self.issuer: Final = settings.public_url or f"http://127.0.0.1:{settings.port}"
        self._signing = signing

    def make(self, user_id: str, session_id: str, epoch: int, token_id: str, now_ms: int) -> str:
        """A token that is good for 15 minutes, as long as its session is there and the person's epoch is this one."""
        now_s = now_ms // 1000
        claims: JsonObject = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "epoch": epoch,
            "jti": token_id,
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + ACCESS_TOKEN_MS // 1000,
        }
        header: JsonObject = {"alg": ALGORITHM, "kid": self._signing.current.id, "typ": TYPE}
        signed = f"{encode_base64url(encode(header))}.{encode_base64url(encode(claims))}"
        return f"{signed}.{encode_base64url(self._signing.sign(signed.encode())[1])}"

    def read(self, text: str, now_ms: int) -> AccessClaims | None:
        """What a token says; None where it is not good, for whatever reason."""
        if len(text) > _MOST_CHARACTERS:
            return None
        match = _COMPACT.fullmatch(text)
        if match is None:
            return None
        try:
            header = _read_object(match[1])
            if frozenset(header) != _HEADER_FIELDS or header["alg"] != ALGORITHM or header["typ"] != TYPE:
                return None
            signature = _decode(match[3])
            if not self._signing.verify(str(header["kid"]), f"{match[1]}.{match[2]}".encode(), signature):
                return None
            return self._read_claims(_read_object(match[2]), now_ms // 1000)
        except _Refused:
            return None

    def _read_claims(self, claims: dict[str, Any], now_s: int) -> AccessClaims:
        if claims.get("iss") != self.issuer or claims.get("aud") != AUDIENCE:
            raise _Refused
        expires_at_s, begins_at_s, made_at_s = (_read_whole(claims, name) for name in ("exp", "nbf", "iat"))
        if expires_at_s + LEEWAY_S < now_s or begins_at_s - LEEWAY_S > now_s or made_at_s - LEEWAY_S > now_s:
            raise _Refused
        user_id, session_id = claims.get("sub"), claims.get("sid")
        if not isinstance(user_id, str) or not isinstance(session_id, str):
            raise _Refused
        return AccessClaims(user_id, session_id, _read_whole(claims, "epoch"), expires_at_s)


def _read_whole(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int:
        raise _Refused
    return value


def _read_object(segment: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(segment), object_pairs_hook=_unite)
    except (ValueError, RecursionError):
        raise _Refused from None
    if not isinstance(value, dict):
        raise _Refused
    return cast("dict[str, Any]", value)


def _unite(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    united = dict(pairs)
    if len(united) < len(pairs):
        raise _Refused
    return united


def _decode(segment: str) -> bytes:
    try:
        data = decode_base64url(segment)
    except ValueError:
        raise _Refused from None
    # The last character may have bits that mean nothing: only one way to write the same bytes is taken.
    if encode_base64url(data) != segment:
        raise _Refused
    return data
