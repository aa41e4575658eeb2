"""Values that tell of a person: sealed with a key of that person's, and unreadable for ever once the key is destroyed.

A row is hashed as it is stored, so erasing a person changes no row and the chain stays whole.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.canonical import encode_canonically, simplify
from flowforge.audit.models import PersonKey
from flowforge.audit.types import Noted, Personal
from flowforge.kit.border import decode
from flowforge.kit.chance import draw_bytes
from flowforge.kit.errors import InvariantError
from flowforge.kit.keyring import Keyring, Place, Sealed, UnreadableError
from flowforge.kit.values import JsonObject, JsonValue

SEALED: Final = "$personal"
"""The one key of a sealed value: `{"$personal": {"of": "usr_…", "sealed": "…"}}`; `sealed` is null for a person erased before."""
ERASED: Final = "(erased)"
"""Is shown for what cannot be read any more."""
REENCRYPT_BATCH_ROWS: Final = 100
_KEY_BYTES: Final = 32
_ROW: Final = "audit value"


@dataclass(frozen=True, slots=True)
class PersonReencryption:
    """How many keys of persons now have the key ring's current key, and whose no key opens."""

    changed: int
    unreadable: tuple[str, ...]


def list_persons(noted: object) -> set[str]:
    """Of whom a value holds `Personal` parts."""
    if isinstance(noted, Personal):
        return {noted.user_id}
    return set[str]().union(*(list_persons(item) for item in _list_items(noted)))


def list_sealed(value: object) -> set[str]:
    """Of whom a stored value holds sealed parts."""
    found = _find_sealed(value)
    if found is not None:
        return {found[0]}
    return set[str]().union(*(list_sealed(item) for item in _list_items(value)))


def seal_values(noted: object, keys: Mapping[str, Keyring | None]) -> JsonValue:
    """The value with each `Personal` sealed. `keys`: of each person in it; None for an erased one."""
    if isinstance(noted, Personal):
        return {SEALED: {"of": noted.user_id, "sealed": _seal(noted, keys[noted.user_id])}}
    if isinstance(noted, Mapping):
        return {key: seal_values(item, keys) for key, item in cast("Noted", noted).items()}
    if isinstance(noted, list | tuple):
        return [seal_values(item, keys) for item in cast("Sequence[object]", noted)]
    return simplify(cast("JsonValue", noted))


def open_values(value: JsonValue, keys: Mapping[str, Keyring | None]) -> JsonValue:
    """The value for people: what is sealed is opened, or is `ERASED` where the person's key is gone."""
    found = _find_sealed(value)
    if found is not None:
        return _open(found, keys.get(found[0]))
    if isinstance(value, dict):
        return {key: open_values(item, keys) for key, item in value.items()}
    if isinstance(value, list):
        return [open_values(item, keys) for item in value]
    return value


async def find_keys(session: AsyncSession, keyring: Keyring, user_ids: set[str]) -> dict[str, Keyring | None]:
    """The keys of these persons, for reading; None where there is none to read with: the person was erased, or it does not open."""
    keys: dict[str, Keyring | None] = dict.fromkeys(user_ids)
    for row in await _list_keys(session, user_ids):
        # Who looks through the log must not be stopped by one row.
        with suppress(UnreadableError):
            keys[row.user_id] = _unseal_key(keyring, row)
    return keys


async def make_keys(session: AsyncSession, keyring: Keyring | None, user_ids: set[str], at_ms: int) -> dict[str, Keyring | None]:
    """The keys of these persons, made where there are none. Needs the lock of the chain, so that nobody else makes the same."""
    if not user_ids:
        return {}
    if keyring is None:
        raise InvariantError("A personal value or a person's address is recorded without the key ring; give it to the author.")
    keys = {row.user_id: _unseal_key(keyring, row) for row in await _list_keys(session, user_ids)}
    for user_id in sorted(user_ids - keys.keys()):
        key = draw_bytes(_KEY_BYTES)
        sealed = keyring.seal(key, _place(user_id))
        session.add(PersonKey(user_id=user_id, key_id=sealed.key_id, sealed=sealed.data, created_at=at_ms))
        keys[user_id] = Keyring(key)
    await session.flush()
    return keys


async def destroy_key(session: AsyncSession, user_id: str, at_ms: int) -> None:
    """Destroys the person's key for ever; no other is made for that person afterwards."""
    row = await session.get(PersonKey, user_id, with_for_update=True)
    if row is None:
        session.add(PersonKey(user_id=user_id, created_at=at_ms, erased_at=at_ms))
    elif row.erased_at is None:
        row.key_id = row.sealed = None
        row.erased_at = at_ms
    await session.flush()


async def reencrypt_keys(session: AsyncSession, keyring: Keyring) -> PersonReencryption:
    """Seals every person's key anew that an older key of the ring has sealed, in batches, each committed by itself.

    May be killed and run again. A key that does not open stays as it is and is named.
    """
    changed, unreadable, after = 0, list[str](), ""
    query = select(PersonKey).where(PersonKey.key_id != keyring.current_key_id).order_by(PersonKey.user_id)
    while rows := (await session.scalars(query.where(PersonKey.user_id > after).limit(REENCRYPT_BATCH_ROWS))).all():
        after = rows[-1].user_id
        for row in rows:
            try:
                plain = _open_key(keyring, row)
            except UnreadableError:
                unreadable.append(row.user_id)
                continue
            sealed = keyring.seal(plain, _place(row.user_id))
            await session.execute(
                update(PersonKey)
                .where(PersonKey.user_id == row.user_id, PersonKey.erased_at.is_(None))
                .values(key_id=sealed.key_id, sealed=sealed.data)
                .execution_options(synchronize_session=False)
            )
            changed += 1
        # As with secrets: one transaction over all rows would keep every writer out.
        await session.commit()
    return PersonReencryption(changed, tuple(unreadable))


async def _list_keys(session: AsyncSession, user_ids: set[str]) -> Sequence[PersonKey]:
    if not user_ids:
        return []
    return (await session.scalars(select(PersonKey).where(PersonKey.user_id.in_(sorted(user_ids))))).all()


def _place(user_id: str) -> Place:
    return Place(table=PersonKey.__tablename__, row=user_id, workspace_id="")


def _unseal_key(keyring: Keyring, row: PersonKey) -> Keyring | None:
    return None if row.sealed is None else Keyring(_open_key(keyring, row))


def _open_key(keyring: Keyring, row: PersonKey) -> bytes:
    return keyring.open(Sealed(row.key_id or "", row.sealed or b""), _place(row.user_id))


def _seal(personal: Personal, key: Keyring | None) -> str | None:
    if key is None:
        return None
    return urlsafe_b64encode(key.seal(encode_canonically(simplify(personal.value)), _value_place(personal.user_id)).data).decode()


def _open(found: tuple[str, str | None], key: Keyring | None) -> JsonValue:
    user_id, text = found
    if key is None or text is None:
        return ERASED
    try:
        sealed = Sealed(key.current_key_id, urlsafe_b64decode(text))
        return decode(key.open(sealed, _value_place(user_id)))
    except (UnreadableError, ValueError):
        return ERASED


def _value_place(user_id: str) -> Place:
    return Place(table=_ROW, row=user_id, workspace_id="")


def _find_sealed(value: object) -> tuple[str, str | None] | None:
    """Of whom a sealed value is, and its text."""
    if not isinstance(value, dict) or list(cast("JsonObject", value)) != [SEALED]:
        return None
    inner = cast("JsonObject", value)[SEALED]
    if not isinstance(inner, dict):
        return None
    user_id, text = inner.get("of"), inner.get("sealed")
    return (user_id, text) if isinstance(user_id, str) and (text is None or isinstance(text, str)) else None


def _list_items(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(cast("Mapping[str, object]", value).values())
    return list(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else []
