"""Tokens of providers, verified. Algorithms and keys are the provider's by configuration and discovery; a token only chooses among them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry, deserialize_compact

from flowforge.identity.oidc_calls import Discovery
from flowforge.kit.signing import decode_base64url, encode_base64url

LEEWAY_S: Final = 60
_TOKEN_MAX_CHARACTERS: Final = 16_384
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SUBJECT_MAX: Final = 255
_ACCESS_TYPES: Final = frozenset({"at+jwt", "application/at+jwt", "jwt"})
_ID_TOKEN_CLAIMS: Final = frozenset({"nonce", "at_hash", "c_hash"})


class TokenRefusedError(Exception):
    """The token is not good. The text is for the log alone."""


class _Registry(JWSRegistry):
    max_header_length = 4_096
    max_payload_length = _TOKEN_MAX_CHARACTERS


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an ID token is about. `email` None: the provider does not say."""

    issuer: str
    subject: str
    email: str | None
    is_email_verified: bool
    name: str


def read_key_id(token: str) -> str | None:
    """Which of the provider's keys the token says it was signed with. Raises TokenRefusedError."""
    header = _read_header(token)
    key_id = header.get("kid")
    if key_id is not None and (not isinstance(key_id, str) or len(key_id) > 1_000):
        raise TokenRefusedError("its kid is no text")
    return key_id


def read_issuer(token: str) -> str | None:
    """Whose token it says it is; nothing is verified yet."""
    try:
        _read_header(token)
        issuer = _read_object(_decode(token.split(".")[1])).get("iss")
    except TokenRefusedError:
        return None
    return issuer if isinstance(issuer, str) else None


def verify_id_token(token: str, keys: KeySet, discovery: Discovery, *, client_id: str, nonce: str, now_s: int) -> Person:
    """Whom the ID token is about (OpenID Connect Core 1.0, 3.1.3.7).

    Raises:
        TokenRefusedError: signature, issuer, audience, nonce or times are not what they must be.
    """
    claims = _verify(token, keys, discovery, now_s)
    _check_audience(claims, client_id, is_alone=True)
    if claims.get("azp", client_id) != client_id:
        raise TokenRefusedError("it was issued to another client")
    if claims.get("nonce") != nonce:
        raise TokenRefusedError("its nonce is another one")
    return _read_person(discovery.issuer, _read_subject(claims), claims)


def complete_person(person: Person, claims: Mapping[str, Any]) -> Person:
    """With what the userinfo endpoint says besides. Raises TokenRefusedError where it speaks of somebody else (Core 1.0, 5.3.2)."""
    if claims.get("sub") != person.subject:
        raise TokenRefusedError("the userinfo endpoint speaks of somebody else")
    told = _read_person(person.issuer, person.subject, claims)
    return replace(told, name=person.name or told.name)


def _read_person(issuer: str, subject: str, claims: Mapping[str, Any]) -> Person:
    email, name = claims.get("email"), claims.get("name")
    return Person(
        issuer=issuer,
        subject=subject,
        email=email if isinstance(email, str) else None,
        is_email_verified=claims.get("email_verified") is True,
        name=name if isinstance(name, str) else "",
    )


def verify_access_token(token: str, keys: KeySet, discovery: Discovery, *, audience: str, now_s: int) -> tuple[str, int]:
    """The subject of an access token for us, and when it expires (s). Raises TokenRefusedError."""
    kind = str(_read_header(token).get("typ", "jwt")).lower()
    if kind not in _ACCESS_TYPES:
        raise TokenRefusedError(f"a {kind[:40]} is no access token")
    claims = _verify(token, keys, discovery, now_s)
    if kind == "jwt" and _ID_TOKEN_CLAIMS & claims.keys():
        raise TokenRefusedError("it is an ID token")
    _check_audience(claims, audience, is_alone=False)
    return _read_subject(claims), _read_time(claims, "exp")


def _verify(token: str, keys: KeySet, discovery: Discovery, now_s: int) -> dict[str, Any]:
    header = _read_header(token)
    if "crit" in header or header.get("b64", True) is not True or header.get("alg") not in discovery.algorithms:
        raise TokenRefusedError("its header asks for what is not taken")
    registry = _Registry(algorithms=sorted(discovery.algorithms), strict_check_header=False)
    try:
        claims = _read_object(deserialize_compact(token, keys, registry=registry).payload or b"")
    except (JoseError, ValueError, TypeError) as fault:
        raise TokenRefusedError(f"its signature is not good: {fault}") from fault
    if claims.get("iss") != discovery.issuer:
        raise TokenRefusedError("it is of another issuer")
    expires_at_s, made_at_s = _read_time(claims, "exp"), _read_time(claims, "iat")
    begins_at_s = _read_time(claims, "nbf") if "nbf" in claims else made_at_s
    if expires_at_s + LEEWAY_S < now_s or max(made_at_s, begins_at_s) - LEEWAY_S > now_s:
        raise TokenRefusedError("it has expired, or is not good yet")
    return claims


def _check_audience(claims: dict[str, Any], wanted: str, *, is_alone: bool) -> None:
    """`is_alone`: where it is for others too, it must say that it was issued to us."""
    given = claims.get("aud")
    audience = cast("list[object]", given) if isinstance(given, list) else [given]
    if wanted not in audience:
        raise TokenRefusedError("it is for somebody else")
    if is_alone and len(audience) > 1 and claims.get("azp") != wanted:
        raise TokenRefusedError("it is for others too, and was not issued to us")


def _read_subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_MAX or not subject.isprintable():
        raise TokenRefusedError("its subject is none")
    return subject


def _read_time(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int:
        raise TokenRefusedError(f"its {name} is no whole number")
    return value


def _read_header(token: str) -> dict[str, Any]:
    if len(token) > _TOKEN_MAX_CHARACTERS or not _COMPACT.fullmatch(token):
        raise TokenRefusedError("it is no signed token")
    return _read_object(_decode(token.partition(".")[0]))


def _decode(segment: str) -> bytes:
    try:
        data = decode_base64url(segment)
    except ValueError:
        raise TokenRefusedError("it is no base64url") from None
    if encode_base64url(data) != segment:
        raise TokenRefusedError("it is written in another way than it should be")
    return data


def _read_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data, object_pairs_hook=_unite)
    except (ValueError, RecursionError):
        raise TokenRefusedError("it holds no JSON") from None
    if not isinstance(value, dict):
        raise TokenRefusedError("it holds no object")
    return cast("dict[str, Any]", value)


def _unite(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    united = dict(pairs)
    if len(united) < len(pairs):
        raise TokenRefusedError("it says a thing twice")
    return united
