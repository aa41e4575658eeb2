"""Tokens by client credentials (RFC 6749, 4.4), fetched once and kept until they expire."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from flowforge.kit.border import JsonRefusedError, decode_untrusted
from flowforge.kit.clock import Clock
from flowforge.kit.egress import EgressRequest, EgressResponse
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.operations import ErrorCode, FatalError, RetryableError
from flowforge.steps.http.fields import Fields, write_form
from flowforge.steps.http.signing_models import OAuth2Auth
from flowforge.steps.outbound import is_passing

OAUTH_ERRORS: Final = (
    ErrorCode("oauth2_refused", "The server of the tokens refused the client, or what it asks for."),
    ErrorCode("oauth2_failed", "The server of the tokens gave no token now.", retryable=True),
)

_EARLY_MS: Final = 30_000
"""A token that expires this soon is not used any more: clocks differ, and requests take their time."""
_LIFE_MS: Final = 300_000
"""Of a token whose server says nothing about it."""
_LIFE_MAX_MS: Final = 86_400_000
_ENTRIES_MAX: Final = 1_000
_DESCRIPTION_CHARACTERS: Final = 500
_REPLY_LIMITS: Final = Limits(body_max_bytes=2**18)

Send = Callable[[EgressRequest], Awaitable[EgressResponse]]


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str | None = None
    expires_at_ms: int = 0
    users: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `is_fresh`: it was fetched just now."""

    value: str
    is_fresh: bool


class TokenCache:
    """The tokens of this process, by a digest of who asks for what. Of several who want the same one, one fetches it.

    Used from one event loop. Tokens are nowhere else: neither logged nor stored.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[bytes, _Entry] = {}

    async def get(self, grant: OAuth2Auth, send: Send) -> Token:
        """A token that holds for 30 s at least, or was fetched just now.

        Raises:
            FatalError: `oauth2_refused`.
            RetryableError: `oauth2_failed`.
            EgressError: by `send`.
        """
        entry = self._entries.setdefault(_make_key(grant), _Entry())
        entry.users += 1
        try:
            async with entry.lock:
                if entry.token is not None and self._clock.now_ms() < entry.expires_at_ms:
                    return Token(entry.token, is_fresh=False)
                entry.token = None
                token, life_ms = _read_reply(await send(_ask_for_token(grant)), grant)
                if life_ms > _EARLY_MS:
                    entry.token, entry.expires_at_ms = token, self._clock.now_ms() + life_ms - _EARLY_MS
                return Token(token, is_fresh=True)
        finally:
            entry.users -= 1
            self._sweep()

    def drop(self, grant: OAuth2Auth, token: str) -> None:
        """Forgets the token, which a server did not take; a newer one stays."""
        entry = self._entries.get(_make_key(grant))
        if entry is not None and entry.token == token:
            entry.token = None

    def _sweep(self) -> None:
        if len(self._entries) <= _ENTRIES_MAX:
            return
        now_ms = self._clock.now_ms()
        unused = [key for key, entry in self._entries.items() if not entry.users]
        dead = [key for key in unused if self._entries[key].expires_at_ms <= now_ms]
        for key in dead or unused[:1]:
            del self._entries[key]


def _make_key(grant: OAuth2Auth) -> bytes:
    parts = (grant.token_url, grant.client_id, grant.client_secret, grant.scope, grant.audience, grant.style)
    return hashlib.sha256(repr(parts).encode()).digest()


def _ask_for_token(grant: OAuth2Auth) -> EgressRequest:
    form: Fields = {"grant_type": "client_credentials", "scope": grant.scope, "audience": grant.audience}
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
    if grant.style == "basic":
        # RFC 6749, 2.3.1: name and secret are form-encoded before they are joined.
        pair = f"{quote_plus(grant.client_id)}:{quote_plus(grant.client_secret)}"
        headers.append(("Authorization", "Basic " + b64encode(pair.encode()).decode()))
    else:
        form |= {"client_id": grant.client_id, "client_secret": grant.client_secret}
    return EgressRequest("POST", grant.token_url, tuple(headers), write_form(form), follows_redirects=False)


def _read_reply(response: EgressResponse, grant: OAuth2Auth) -> tuple[str, int]:
    """The token, and how long it holds, in milliseconds."""
    reply = _parse_reply(response)
    token = reply.get("access_token")
    if response.status == 200 and isinstance(token, str) and token and token.isascii() and token.isprintable():
        kind = reply.get("token_type")
        if isinstance(kind, str) and kind.lower() != "bearer":
            raise FatalError(
                f"The server of the tokens gave one of the type {kind[:40]!r}; only Bearer is known.", code="oauth2_refused"
            )
        return token, _read_life(reply.get("expires_in"))
    reason = _explain(reply)
    if is_passing(response.status):
        raise RetryableError(
            f"The server of the tokens answered with the status {response.status}{reason}.",
            code="oauth2_failed",
            after_ms=response.retry_after_ms,
        )
    raise FatalError(
        f"The server of the tokens answered with the status {response.status} and no token{reason}; "
        f"check token_url, client_id, client_secret, scope and style (it is {grant.style}).",
        code="oauth2_refused",
    )


def _parse_reply(response: EgressResponse) -> JsonObject:
    try:
        reply = decode_untrusted(response.body, _REPLY_LIMITS)
    except JsonRefusedError:
        return {}
    return reply if isinstance(reply, dict) else {}


def _explain(reply: JsonObject) -> str:
    """What RFC 6749, 5.2 has for errors; nothing else of the reply, which may repeat the request."""
    said = [text for text in (reply.get("error"), reply.get("error_description")) if isinstance(text, str)]
    return f" ({': '.join(said)[:_DESCRIPTION_CHARACTERS]})" if said else ""


def _read_life(expires_in: object) -> int:
    # Some servers write the number as text.
    try:
        life_ms = int(float(expires_in) * 1_000) if isinstance(expires_in, int | float | str) else _LIFE_MS
    except (ValueError, OverflowError):
        life_ms = _LIFE_MS
    return min(max(life_ms, 0), _LIFE_MAX_MS)
