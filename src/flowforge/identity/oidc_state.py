"""A sign-in that is under way at a provider: sealed in a cookie of the browser that began it, and good for one return."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final, cast

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from starlette.requests import HTTPConnection

from flowforge.identity.cookies import find_cookie, is_plain
from flowforge.identity.models_roles import SpentSignInRow
from flowforge.identity.random_secrets import draw_secret
from flowforge.kit.border import decode, encode
from flowforge.kit.keyring import Keyring, Place, Sealed, UnreadableError
from flowforge.kit.settings import Settings
from flowforge.kit.signing import decode_base64url, encode_base64url
from flowforge.web.calls import Call
from flowforge.web.errors import BadRequestError

UNDER_WAY_MS: Final = 10 * 60_000
_COOKIE: Final = "flowforge_oidc"
_HOME: Final = "/"
_NEXT: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1999}")
"""A path of ours: what begins with two slashes or holds a backslash leads elsewhere in some browser."""


class StateError(BadRequestError):
    """The browser comes back with a sign-in that it has not begun, or begun long ago, or finished already (400)."""

    def __init__(self) -> None:
        super().__init__("This sign-in was not begun in this browser, or is over; sign in again.", reason="state", field="state")


@dataclass(frozen=True, slots=True)
class SignInState:
    """`next`: where the browser goes afterwards, a path of ours."""

    provider: str
    next: str
    expires_at_ms: int
    state: str = field(default_factory=draw_secret, repr=False)
    nonce: str = field(default_factory=draw_secret, repr=False)
    verifier: str = field(default_factory=draw_secret, repr=False)

    @property
    def challenge(self) -> str:
        """RFC 7636, S256."""
        return encode_base64url(hashlib.sha256(self.verifier.encode()).digest())


def read_next(text: str | None) -> str:
    """Where to go after the sign-in: a path of ours; anything else is the home page."""
    return text if text is not None and _NEXT.fullmatch(text) else _HOME


def put_state(connection: HTTPConnection, settings: Settings, keyring: Keyring, state: SignInState) -> None:
    """Lets the answer put the cookie into the browser."""
    told = [state.provider, state.next, state.expires_at_ms, state.state, state.nonce, state.verifier]
    sealed = keyring.seal(encode([*told]), _PLACE)
    value = f"{sealed.key_id}.{encode_base64url(sealed.data)}"
    _set_cookie(connection, settings, value, UNDER_WAY_MS // 1000)


def take_state(
    connection: HTTPConnection, settings: Settings, keyring: Keyring, *, provider: str, given: str | None
) -> SignInState:
    """The sign-in of this browser that comes back with this `state`; its cookie goes. Raises StateError."""
    headers = [value for name, value in connection.scope["headers"] if name == b"cookie"]
    cookie = find_cookie(headers, _name(settings))
    if cookie is None or given is None:
        raise StateError
    _set_cookie(connection, settings, "", 0)
    found = _open(keyring, cookie)
    if found is None or found.provider != provider or not hmac.compare_digest(found.state.encode(), given.encode()):
        raise StateError
    return found


async def spend_state(call: Call, state: SignInState) -> None:
    """Once only, in all processes. Committed at once: the provider is asked next. Raises StateError."""
    if state.expires_at_ms <= call.now_ms:
        raise StateError
    try:
        async with call.change() as session:
            await session.execute(delete(SpentSignInRow).where(SpentSignInRow.expires_at < call.now_ms))
            digest = hashlib.sha256(state.state.encode()).hexdigest()
            session.add(SpentSignInRow(state=digest, expires_at=state.expires_at_ms))
            await session.flush()
    except IntegrityError as fault:
        raise StateError from fault


_PLACE: Final = Place(table="oidc_sign_in", row="", workspace_id="")


def _open(keyring: Keyring, cookie: str) -> SignInState | None:
    key_id, _, text = cookie.partition(".")
    try:
        told = decode(keyring.open(Sealed(key_id, decode_base64url(text)), _PLACE))
    except (UnreadableError, ValueError):
        return None
    provider, following, expires_at_ms, state, nonce, verifier = cast("list[str]", told)
    return SignInState(provider, following, int(expires_at_ms), state, nonce, verifier)


def _name(settings: Settings) -> str:
    return _COOKIE if is_plain(settings) else f"__Host-{_COOKIE}"


def _set_cookie(connection: HTTPConnection, settings: Settings, value: str, age_s: int) -> None:
    secure = "" if is_plain(settings) else "; Secure"
    # Lax: the provider's page sends the browser back to us.
    cookie = f"{_name(settings)}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"
    headers: list[tuple[bytes, bytes]] = connection.scope["state"].setdefault("answer_headers", [])
    headers.append((b"set-cookie", cookie.encode()))
