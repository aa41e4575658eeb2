"""Bodies and answers that several routes of accounts have in common."""

from typing import Annotated, Final

from pydantic import Field

from flowforge.identity.types_accounts import KeySummary, SessionSummary, SignedInSession, User
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, JsonField

Email = Annotated[str, Field(min_length=3, max_length=320, description="An email address.", examples=["anna@example.com"])]
Password = Annotated[
    str, Field(min_length=1, max_length=256, description="12 to 256 characters.", examples=["a sentence of yours"])
]
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$", description="6 digits of the authenticator.", examples=["492039"])]
Token = Annotated[str, Field(min_length=1, max_length=200)]
USER_AGENT: Final = "user-agent"


def format_optional_time(at_ms: int | None) -> str | None:
    """RFC 3339 in UTC; None stays None."""
    return None if at_ms is None else format_timestamp_ms(at_ms)


class UserAnswer(Answer):
    """A person."""

    id: str = Field(examples=["usr_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    email: str = Field(examples=["anna@example.com"])
    name: str = Field(examples=["Anna Berg"])
    status: str = Field(description="`active`, `disabled`, `deleted` or `erased`.", examples=["active"])
    confirmed: bool = Field(description="Whether the person has proven to be who this says.")
    issuer: str = Field(
        description="Who vouches for the person: a provider's address, or `-` for a local account.", examples=["-"]
    )
    default_workspace: str | None = Field(description="Where the person works unless a request says otherwise.")
    attributes: JsonField
    created_at: str
    updated_at: str
    last_sign_in_at: str | None

    @classmethod
    def of(cls, user: User) -> "UserAnswer":
        return cls(
            id=user.id,
            email=user.email,
            name=user.name,
            status=user.status,
            confirmed=user.is_confirmed,
            issuer=user.issuer,
            default_workspace=user.workspace_id,
            attributes=user.attributes,
            created_at=format_timestamp_ms(user.created_at_ms),
            updated_at=format_timestamp_ms(user.updated_at_ms),
            last_sign_in_at=format_optional_time(user.signed_in_at_ms),
        )


class SignedInAnswer(Answer):
    """Who is signed in, and until when. The session itself is in cookies."""

    user: UserAnswer
    expires_at: str = Field(examples=["2026-03-01T09:00:00.000Z"])

    @classmethod
    def of(cls, session: SignedInSession) -> "SignedInAnswer":
        return cls(user=UserAnswer.of(session.user), expires_at=format_timestamp_ms(session.expires_at_ms))


class SessionAnswer(Answer):
    """A sign-in of a person: of a browser, or of a program (`token`)."""

    id: str = Field(examples=["ses_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    kind: str = Field(examples=["browser"])
    method: str = Field(description="`password`, `link` or `oidc:` and the provider.", examples=["password"])
    current: bool = Field(description="Whether this request comes by it.")
    address: str
    user_agent: str
    created_at: str
    last_used_at: str
    expires_at: str

    @classmethod
    def of(cls, session: SessionSummary, credential: str) -> "SessionAnswer":
        return cls(
            id=session.id,
            kind=session.kind,
            method=session.method,
            current=credential.partition(":")[2] == session.id,
            address=session.address,
            user_agent=session.user_agent,
            created_at=format_timestamp_ms(session.created_at_ms),
            last_used_at=format_timestamp_ms(session.used_at_ms),
            expires_at=format_timestamp_ms(session.expires_at_ms),
        )


class KeyAnswer(Answer):
    """An API key. Its text was shown once, when it was made."""

    id: str = Field(examples=["key_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    name: str = Field(examples=["deploy"])
    prefix: str = Field(description="The first 12 characters.", examples=["ff_k3v9x4e6t"])
    workspace_id: str
    user_id: str = Field(description="Whose rights it has, at most.")
    permissions: list[str] = Field(examples=[["workflow:read", "workflow:start"]])
    tier: str | None = Field(description="How many requests it may make; null: as RATE_TIER says.")
    created_at: str
    expires_at: str
    last_used_at: str | None = Field(description="As of some seconds ago.")
    revoked_at: str | None

    @classmethod
    def of(cls, key: KeySummary) -> "KeyAnswer":
        return cls(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            workspace_id=key.workspace_id,
            user_id=key.user_id,
            permissions=list(key.permissions),
            tier=key.tier,
            created_at=format_timestamp_ms(key.created_at_ms),
            expires_at=format_timestamp_ms(key.expires_at_ms),
            last_used_at=format_optional_time(key.used_at_ms),
            revoked_at=format_optional_time(key.revoked_at_ms),
        )


def merge_attributes(present: JsonObject, patch: JsonObject) -> JsonObject:
    """JSON Merge Patch (RFC 7396) of the attributes of a person: null takes one away."""
    merged = dict(present)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            before = merged.get(name)
            merged[name] = (
                merge_attributes(before if isinstance(before, dict) else {}, value) if isinstance(value, dict) else value
            )
    return merged
