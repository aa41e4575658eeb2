"""API keys: `ff_`, 9 characters, `_`, 43 characters. Shown once; stored are the first 12 characters and a digest."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.errors_accounts import KeyInputError, KeyNotFoundError
from flowforge.identity.errors_roles import PermissionUnknownError
from flowforge.identity.models_accounts import ApiKeyRow, KeyUsageRow, UserRow
from flowforge.identity.permissions import PERMISSIONS
from flowforge.identity.random_secrets import SECRET_LENGTH, digest_secret, draw_secret
from flowforge.identity.revocations import bump
from flowforge.identity.types_accounts import KeySummary, KeyUsage, NewKey
from flowforge.kit.border import decode, encode
from flowforge.kit.chance import draw_below
from flowforge.kit.ids import make_id
from flowforge.kit.units import parse_duration
from flowforge.kit.values import JsonValue
from flowforge.web.selecting import Selection

KEY_LIFE_MAX_MS: Final = 365 * 86_400_000
TIERS: Final = ("free", "basic", "pro", "enterprise")
KEYS_MAX: Final = 100
"""Keys of one person in one workspace that are good at a time."""
_HEAD: Final = "ff_"
_PREFIX_LENGTH: Final = 12
_KEY_LENGTH: Final = _PREFIX_LENGTH + 1 + SECRET_LENGTH
_NOBODYS: Final = "0" * 64
"""The digest of no key."""
_LETTERS: Final = "abcdefghijkmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What somebody wants of a new key. `expires_in`: a duration of at most a year, `90d`; `tier` None: the installation's."""

    name: str
    permissions: Sequence[str]
    expires_in: str
    tier: str | None = None


def looks_like_key(text: str) -> bool:
    """Whether a text has the form of a key; says nothing about whether it is one."""
    return len(text) == _KEY_LENGTH and text.startswith(_HEAD) and text[_PREFIX_LENGTH] == "_" and text.isascii()


async def create_key(session: AsyncSession, user_id: str, workspace_id: str, wish: KeyWish, now_ms: int) -> NewKey:
    """A new key of a person in a workspace. That the person has the permissions is for the caller to see to.

    Raises:
        PermissionUnknownError: it names one that there is not.
        KeyInputError: `permission_required`, `expires_in`, `tier`, or the person has too many (`keys_max`).
    """
    permissions = _check_permissions(wish.permissions)
    expires_at = now_ms + _read_life(wish.expires_in)
    if wish.tier is not None and wish.tier not in TIERS:
        raise KeyInputError("tier", f"A tier is one of {', '.join(TIERS)}.", "tier")
    if await _count_good_keys(session, workspace_id, user_id, now_ms) >= KEYS_MAX:
        raise KeyInputError("", f"One person has at most {KEYS_MAX} keys in a workspace; revoke one first.", "keys_max")
    prefix = _HEAD + "".join(_LETTERS[draw_below(len(_LETTERS))] for _ in range(_PREFIX_LENGTH - len(_HEAD)))
    text = f"{prefix}_{draw_secret()}"
    row = ApiKeyRow(
        id=make_id("key"),
        workspace_id=workspace_id,
        user_id=user_id,
        name=wish.name,
        prefix=prefix,
        digest=digest_secret(text),
        permissions=encode(list[JsonValue](sorted(permissions))).decode(),
        tier=wish.tier,
        created_at=now_ms,
        expires_at=expires_at,
    )
    session.add(row)
    await session.flush()
    return NewKey(summarize_key(row), text)


async def find_key(session: AsyncSession, text: str, now_ms: int) -> tuple[ApiKeyRow, UserRow] | None:
    """The key and its person; None where it is none, or good no more. That the person may act is for the caller to look at."""
    if not looks_like_key(text):
        return None
    digest = digest_secret(text)
    query = select(ApiKeyRow, UserRow).join(UserRow, UserRow.id == ApiKeyRow.user_id)
    found = (await session.execute(query.where(ApiKeyRow.prefix == text[:_PREFIX_LENGTH]))).one_or_none()
    # A prefix that nobody has costs the same, so that the time that it takes does not tell which there are.
    is_right = hmac.compare_digest(_NOBODYS if found is None else found[0].digest, digest)
    if found is None or not is_right:
        return None
    row, user = found[0], found[1]
    return (row, user) if row.revoked_at is None and row.expires_at > now_ms else None


async def list_keys(
    session: AsyncSession, workspace_id: str, selection: Selection, *, user_id: str | None = None
) -> Sequence[ApiKeyRow]:
    """Keys of a workspace: of one person, or (None) all."""
    query = select(ApiKeyRow).where(ApiKeyRow.workspace_id == workspace_id)
    if user_id is not None:
        query = query.where(ApiKeyRow.user_id == user_id)
    return (await session.scalars(selection.narrow(query))).all()


async def _count_good_keys(session: AsyncSession, workspace_id: str, user_id: str, now_ms: int) -> int:
    query = select(func.count()).where(
        ApiKeyRow.workspace_id == workspace_id,
        ApiKeyRow.user_id == user_id,
        ApiKeyRow.revoked_at.is_(None),
        ApiKeyRow.expires_at > now_ms,
    )
    return await session.scalar(query) or 0


async def get_key(session: AsyncSession, workspace_id: str, subject: str, *, user_id: str | None = None) -> ApiKeyRow:
    """A key of a workspace (and of one person), by id or by its first 12 characters. Raises KeyNotFoundError."""
    column = ApiKeyRow.prefix if subject.startswith(_HEAD) else ApiKeyRow.id
    query = select(ApiKeyRow).where(ApiKeyRow.workspace_id == workspace_id, column == subject)
    if user_id is not None:
        query = query.where(ApiKeyRow.user_id == user_id)
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        raise KeyNotFoundError(subject)
    return row


async def revoke_key(session: AsyncSession, row: ApiKeyRow, now_ms: int) -> bool:
    """Refused within 5 seconds, everywhere and for ever. False where it was revoked before."""
    if row.revoked_at is not None:
        return False
    await bump(session)
    row.revoked_at = now_ms
    await session.flush()
    return True


async def list_key_usage(session: AsyncSession, workspace_id: str, row: ApiKeyRow, selection: Selection) -> list[KeyUsage]:
    """By hour and address."""
    query = (
        select(KeyUsageRow)
        .join(ApiKeyRow, ApiKeyRow.id == KeyUsageRow.key_id)
        .where(ApiKeyRow.workspace_id == workspace_id, KeyUsageRow.key_id == row.id)
    )
    rows = await session.scalars(selection.narrow(query))
    return [KeyUsage(found.hour_at, found.address, found.requests, found.used_at) for found in rows.all()]


def read_key_permissions(row: ApiKeyRow) -> frozenset[str]:
    """What the key was made for."""
    return frozenset(cast("list[str]", decode(row.permissions)))


def summarize_key(row: ApiKeyRow) -> KeySummary:
    """What may be shown of a key."""
    return KeySummary(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        workspace_id=row.workspace_id,
        user_id=row.user_id,
        permissions=tuple(sorted(read_key_permissions(row))),
        tier=row.tier,
        created_at_ms=row.created_at,
        expires_at_ms=row.expires_at,
        used_at_ms=row.used_at,
        revoked_at_ms=row.revoked_at,
    )


def _check_permissions(permissions: Sequence[str]) -> frozenset[str]:
    wanted = frozenset(permissions)
    unknown = wanted - PERMISSIONS
    if unknown:
        raise PermissionUnknownError("permissions", unknown)
    if not wanted:
        raise KeyInputError("permissions", "A key needs at least one permission.", "permission_required")
    return wanted


def _read_life(text: str) -> int:
    try:
        life_ms = parse_duration(text)
    except ValueError:
        life_ms = 0
    if not 0 < life_ms <= KEY_LIFE_MAX_MS:
        raise KeyInputError("expires_in", "How long the key is good is written like 90d, and is a year at most.", "expires_in")
    return life_ms
