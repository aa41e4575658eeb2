"""The tables of people and of what they prove themselves with. Times are milliseconds since 1970 (UTC); secrets are hashed or sealed."""

from typing import Final

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import BYTES, ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base

NOT_DELETED_MS: Final = 253_402_214_400_000
"""`deleted_at` of what lives (9999-12-31): so that a name is unique among the living."""
LOCAL_ISSUER: Final = "-"
"""The issuer of people whom no provider vouches for: local accounts, and those whom nobody has confirmed yet."""
DIGEST_LENGTH: Final = 64


class UserRow(Base):
    """A person: (issuer, subject). A local one has the issuer `-` and its email as subject.

    `email_key` is the email as it is compared. `is_confirmed`: the person has proven to be who the row says. `epoch` grows with "sign out
    everywhere": what was issued under a smaller one is refused. `workspace_id`: where the person works unless the request says otherwise.
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("issuer", "subject", "deleted_at"),
        UniqueConstraint("issuer", "email_key", "deleted_at"),
        Index(None, "email_key"),
        Index(None, "name"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(NAME_LENGTH), default=LOCAL_ISSUER)
    subject: Mapped[str] = mapped_column(String(320))
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320))
    name: Mapped[str] = mapped_column(String(255))
    is_confirmed: Mapped[bool] = mapped_column(Boolean, default=False)
    upstream_issuer: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    upstream_id: Mapped[str | None] = mapped_column(String(320))
    workspace_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    attributes: Mapped[str] = mapped_column(JSON_TEXT, default="{}")
    epoch: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    signed_in_at: Mapped[int | None] = mapped_column(MILLISECONDS)
    disabled_at: Mapped[int | None] = mapped_column(MILLISECONDS)
    erased_at: Mapped[int | None] = mapped_column(MILLISECONDS)
    deleted_at: Mapped[int] = mapped_column(MILLISECONDS, default=NOT_DELETED_MS)


class PasswordRow(Base):
    """A local person's password (argon2id) and second factor: the sealed TOTP secret, counted once `totp_since` is set.

    `totp_step`: the last time step whose code was taken; no code is taken twice.
    """

    __tablename__ = "passwords"

    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("users.id"), primary_key=True)
    hash: Mapped[str | None] = mapped_column(String(255))
    changed_at: Mapped[int] = mapped_column(MILLISECONDS)
    totp_key_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    totp_sealed: Mapped[bytes | None] = mapped_column(BYTES)
    totp_since: Mapped[int | None] = mapped_column(MILLISECONDS)
    totp_step: Mapped[int] = mapped_column(MILLISECONDS, default=0)


class SessionRow(Base):
    """A sign-in. `digest`: SHA-256 of what the browser holds; `id` is what people see; `sealed`: where from and how.

    `kind`: `browser` (a cookie) or `token` (access and refresh tokens; then `digest` is that of nothing anyone holds).
    """

    __tablename__ = "sessions"
    __table_args__ = (UniqueConstraint("id"), Index(None, "user_id"), Index(None, "expires_at"))

    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    id: Mapped[str] = mapped_column(String(ID_LENGTH))
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(16))
    epoch: Mapped[int] = mapped_column(Integer)
    key_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    sealed: Mapped[bytes] = mapped_column(BYTES)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    used_at: Mapped[int] = mapped_column(MILLISECONDS)
    expires_at: Mapped[int] = mapped_column(MILLISECONDS)


class RefreshTokenRow(Base):
    """A refresh token; those of one sign-in (`session_id`) are a family. Used once: a second use ends the family."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "session_id"), Index(None, "expires_at"))

    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    session_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("users.id"))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    expires_at: Mapped[int] = mapped_column(MILLISECONDS)
    used_at: Mapped[int | None] = mapped_column(MILLISECONDS)


class ApiKeyRow(Base):
    """A key of one workspace. `prefix`: its first 12 characters, shown and looked up by; `digest`: SHA-256 of the whole."""

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("prefix"), Index(None, "workspace_id", "id"), Index(None, "user_id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(255))
    prefix: Mapped[str] = mapped_column(String(12))
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    permissions: Mapped[str] = mapped_column(JSON_TEXT)
    tier: Mapped[str | None] = mapped_column(String(20))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    expires_at: Mapped[int] = mapped_column(MILLISECONDS)
    used_at: Mapped[int | None] = mapped_column(MILLISECONDS)
    revoked_at: Mapped[int | None] = mapped_column(MILLISECONDS)


class KeyUsageRow(Base):
    """How often a key was used within an hour from one address."""

    __tablename__ = "api_key_usage"

    key_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("api_keys.id"), primary_key=True)
    hour_at: Mapped[int] = mapped_column(MILLISECONDS, primary_key=True)
    address: Mapped[str] = mapped_column(String(64), primary_key=True)
    requests: Mapped[int] = mapped_column(Integer)
    used_at: Mapped[int] = mapped_column(MILLISECONDS)


class OneTimeLinkRow(Base):
    """A link that is good once. `digest`: SHA-256 of its token; `purpose`: see `links.Purpose`."""

    __tablename__ = "one_time_links"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))

    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("users.id"))
    epoch: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    expires_at: Mapped[int] = mapped_column(MILLISECONDS)
    used_at: Mapped[int | None] = mapped_column(MILLISECONDS)


class SignInFailureRow(Base):
    """Failed sign-ins of one account or address. `scope`: `account:` or `address:` and a digest of which."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (Index(None, "since"),)

    scope: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    since: Mapped[int] = mapped_column(MILLISECONDS)
    failures: Mapped[int] = mapped_column(Integer)
    strikes: Mapped[int] = mapped_column(Integer)
    blocked_until: Mapped[int] = mapped_column(MILLISECONDS)


class ExternalIdentityRow(Base):
    """Who a person is in another system. `source`: connector_sync, workflow or manual."""

    __tablename__ = "external_identities"
    __table_args__ = (UniqueConstraint("connector", "external_id"), Index(None, "user_id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("users.id"))
    connector: Mapped[str] = mapped_column(String(NAME_LENGTH))
    external_id: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320))
    name: Mapped[str | None] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(20))
    attributes: Mapped[str] = mapped_column(JSON_TEXT, default="{}")
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    verified_at: Mapped[int | None] = mapped_column(MILLISECONDS)


class LetterRow(Base):
    """A mail about an account that is still to be sent. `sealed`: to whom and what, nothing for a decoy."""

    __tablename__ = "account_letters"
    __table_args__ = (Index(None, "due_at"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    sealed: Mapped[bytes] = mapped_column(BYTES)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    due_at: Mapped[int] = mapped_column(MILLISECONDS)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
