"""Subscriptions of systems outside to events: the use cases. Nothing here commits."""

from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast
from urllib.parse import urlsplit

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.event_types import EVENT_TYPES, EVERY, STEP, is_known_type, means
from flowforge.cluster.outbox import find_last_no
from flowforge.kit.border import decode, encode
from flowforge.kit.chance import draw_bytes
from flowforge.kit.keyring import Keyring, Place, Sealed, UnreadableError
from flowforge.live.models import URL_LENGTH, DeliveryRow, SubscriptionRow
from flowforge.live.subscription_errors import (
    DeliveryNotFoundError,
    DeliveryStateError,
    SubscriptionInvalidError,
    SubscriptionNotFoundError,
)
from flowforge.live.types import DeliveryStatus, NewSubscription, Subscription
from flowforge.web.selecting import Selection

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 (a prefix)
_SECRET_BYTES: Final = 32
KINDS: Final = tuple(kind for kind in EVENT_TYPES if kind != STEP)
"""The events that one may subscribe to; those of steps are read from the runs themselves."""


async def create_subscription(
    session: AsyncSession,
    keyring: Keyring,
    workspace_id: str,
    *,
    subscription_id: str,
    url: str,
    types: Sequence[str],
    actor: str,
    at_ms: int,
) -> NewSubscription:
    """A subscription to what happens from now on, with a secret of its own.

    Raises:
        SubscriptionInvalidError: the URL or a type cannot be used.
    """
    check_url(url)
    check_types(types)
    secret = SECRET_PREFIX + b64encode(draw_bytes(_SECRET_BYTES)).decode()
    row = SubscriptionRow(
        id=subscription_id,
        workspace_id=workspace_id,
        url=url,
        types=encode([*dict.fromkeys(types)]).decode(),
        active=1,
        position=await find_last_no(session),
        created_at=at_ms,
        created_by=actor,
        updated_at=at_ms,
    )
    _seal(keyring, row, secret)
    session.add(row)
    await session.flush()
    return NewSubscription(summarize(row), secret)


async def get_subscription(session: AsyncSession, workspace_id: str, subscription_id: str) -> SubscriptionRow:
    """Raises SubscriptionNotFoundError."""
    query = select(SubscriptionRow).where(SubscriptionRow.workspace_id == workspace_id, SubscriptionRow.id == subscription_id)
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        raise SubscriptionNotFoundError(subscription_id)
    return row


async def list_subscriptions(session: AsyncSession, workspace_id: str, selection: Selection) -> Sequence[SubscriptionRow]:
    query = select(SubscriptionRow).where(SubscriptionRow.workspace_id == workspace_id)
    return (await session.scalars(selection.narrow(query))).all()


async def change_subscription(
    session: AsyncSession,
    workspace_id: str,
    subscription_id: str,
    *,
    url: str | None,
    types: Sequence[str] | None,
    is_active: bool | None,
    at_ms: int,
) -> SubscriptionRow:
    """What is None stays. One that is made active again begins with what happens from then on.

    Raises:
        SubscriptionNotFoundError, SubscriptionInvalidError: there is none, or the new values cannot be used.
    """
    row = await get_subscription(session, workspace_id, subscription_id)
    if url is not None:
        check_url(url)
        row.url = url
    if types is not None:
        check_types(types)
        row.types = encode([*dict.fromkeys(types)]).decode()
    if is_active is not None:
        if is_active and not row.active:
            row.position = await find_last_no(session)
        row.active = int(is_active)
    row.updated_at = at_ms
    await session.flush()
    return row


async def delete_subscription(session: AsyncSession, workspace_id: str, subscription_id: str) -> Subscription:
    """It goes with its deliveries. Raises SubscriptionNotFoundError."""
    row = await get_subscription(session, workspace_id, subscription_id)
    await session.execute(delete(DeliveryRow).where(DeliveryRow.subscription_id == row.id))
    await session.delete(row)
    return summarize(row)


async def list_deliveries(
    session: AsyncSession, workspace_id: str, subscription_id: str, selection: Selection, *, status: str | None
) -> Sequence[DeliveryRow]:
    """`status` None: of each. Raises SubscriptionNotFoundError."""
    row = await get_subscription(session, workspace_id, subscription_id)
    query = select(DeliveryRow).where(DeliveryRow.subscription_id == row.id)
    if status is not None:
        query = query.where(DeliveryRow.status == status)
    return (await session.scalars(selection.narrow(query))).all()


async def redeliver(
    session: AsyncSession, workspace_id: str, subscription_id: str, delivery_id: str, *, at_ms: int
) -> DeliveryRow:
    """A dead letter is tried again, at once and then as a new one is.

    Raises:
        SubscriptionNotFoundError, DeliveryNotFoundError, DeliveryStateError: there is none, or it is no dead letter.
    """
    subscription = await get_subscription(session, workspace_id, subscription_id)
    query = select(DeliveryRow).where(DeliveryRow.subscription_id == subscription.id, DeliveryRow.id == delivery_id)
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        raise DeliveryNotFoundError(delivery_id)
    if row.status != DeliveryStatus.DEAD:
        raise DeliveryStateError(delivery_id, row.status)
    row.status, row.attempts, row.due_at, row.ended_at = DeliveryStatus.PENDING, 0, at_ms, None
    await session.flush()
    return row


def summarize(row: SubscriptionRow) -> Subscription:
    return Subscription(
        id=row.id,
        workspace_id=row.workspace_id,
        url=row.url,
        types=read_types(row),
        is_active=bool(row.active),
        created_at_ms=row.created_at,
        created_by=row.created_by,
        updated_at_ms=row.updated_at,
    )


def read_types(row: SubscriptionRow) -> list[str]:
    return cast("list[str]", decode(row.types))


def matches(types: Sequence[str], event_type: str) -> bool:
    """Whether one of the types means this event."""
    return any(wanted == EVERY or means(wanted, event_type) for wanted in types)


def check_url(url: str) -> None:
    """Raises SubscriptionInvalidError unless it is an address of http or https, without user and fragment."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and not parts.fragment
        _ = parts.port
    except ValueError:
        is_good = False
    if not is_good or len(url) > URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        message = "The URL is of the form https://host[:port]/path, without user, password and fragment."
        raise SubscriptionInvalidError("url", message, "url_invalid")


def check_types(types: Sequence[str]) -> None:
    """Raises SubscriptionInvalidError where one of them is no event that can be subscribed to."""
    for wanted in types:
        is_step = wanted.startswith(f"{STEP}.")
        if wanted != EVERY and (is_step or not is_known_type(wanted)):
            known = ", ".join(f"{kind}.({'|'.join(EVENT_TYPES[kind])})" for kind in KINDS)
            message = f"There is no event {wanted[:60]!r} to subscribe to: types are {known}, a kind like run.*, or *."
            raise SubscriptionInvalidError("types", message, "type_unknown")


# --- the secret --------------------------------------------------------------------------------------------------------------


def reveal_secret(keyring: Keyring, row: SubscriptionRow) -> str:
    """Raises UnreadableError where the key that sealed it is gone."""
    return keyring.open(Sealed(row.key_id, row.sealed), _place(row)).decode()


async def reencrypt_subscriptions(session: AsyncSession, keyring: Keyring) -> int:
    """Seals all secrets anew that another key than the current one has sealed; how many those were. For the rotation of keys.

    One that no key opens stays as it is: its deliveries say so.
    """
    query = select(SubscriptionRow).where(SubscriptionRow.key_id != keyring.current_key_id)
    rows = (await session.scalars(query)).all()
    changed = 0
    for row in rows:
        with suppress(UnreadableError):
            _seal(keyring, row, reveal_secret(keyring, row))
            changed += 1
    await session.flush()
    return changed


async def disable_gone(session: AsyncSession, workspace_id: str, subscription_id: str, at_ms: int) -> None:
    """The receiver said that it wants no more."""
    own = (SubscriptionRow.workspace_id == workspace_id, SubscriptionRow.id == subscription_id)
    await session.execute(update(SubscriptionRow).where(*own).values(active=0, updated_at=at_ms))


def _seal(keyring: Keyring, row: SubscriptionRow, secret: str) -> None:
    sealed = keyring.seal(secret.encode(), _place(row))
    row.key_id, row.sealed = sealed.key_id, sealed.data


def _place(row: SubscriptionRow) -> Place:
    return Place(table=SubscriptionRow.__tablename__, row=row.id, workspace_id=row.workspace_id)
