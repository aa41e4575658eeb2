"""What the accounts give to others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flowforge.kit.values import JsonObject


class SessionKind(StrEnum):
    BROWSER = "browser"
    TOKEN = "token"  # noqa: S105 (a word)


class LinkPurpose(StrEnum):
    """What a one-time link is good for."""

    SIGN_IN = "sign_in"
    RESET = "reset"
    REGISTER = "register"


@dataclass(frozen=True, slots=True)
class User:
    """A person, as shown."""

    id: str
    email: str
    name: str
    issuer: str
    is_confirmed: bool
    status: str
    """`active`, `disabled`, `deleted` or `erased`."""
    workspace_id: str | None
    attributes: JsonObject
    created_at_ms: int
    updated_at_ms: int
    signed_in_at_ms: int | None


@dataclass(frozen=True, slots=True)
class SignedInSession:
    """A session that has just begun. `token` and `csrf` go to the browser and are not kept."""

    id: str
    user: User
    token: str = field(repr=False)
    csrf: str = field(repr=False)
    created_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session, as its person sees it."""

    id: str
    kind: str
    method: str
    address: str
    user_agent: str
    created_at_ms: int
    used_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that may be used now. `csrf`: the token that its changes must bring; empty for sign-in tokens."""

    id: str
    user_id: str
    csrf: str = field(repr=False)
    expires_at_ms: int
    used_at_ms: int


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token and the refresh token that gets the next one."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int
    session_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid access token says."""

    user_id: str
    session_id: str
    epoch: int
    expires_at_s: int


@dataclass(frozen=True, slots=True)
class KeySummary:
    """An API key, as shown: never the key."""

    id: str
    name: str
    prefix: str
    workspace_id: str
    user_id: str
    permissions: tuple[str, ...]
    tier: str | None
    created_at_ms: int
    expires_at_ms: int
    used_at_ms: int | None
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: the only time that its text is there."""

    summary: KeySummary
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """How often a key was used from one address within one hour."""

    hour_at_ms: int
    address: str
    requests: int
    used_at_ms: int


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Who a person is in another system."""

    id: str
    connector: str
    external_id: str
    email: str | None
    name: str | None
    source: str
    attributes: Mapping[str, object]
    created_at_ms: int
    verified_at_ms: int | None
