"""Secrets and variables of a workspace. Nothing here commits: that is done at the edge."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import check_json, decode, encode
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.ids import make_id
from flowforge.kit.keyring import Keyring, Place, Sealed, UnreadableError
from flowforge.kit.limits import Limits
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.vault import repository
from flowforge.vault.errors import (
    KeysForeignError,
    SecretMissingError,
    SecretUnreadableError,
    VariableMissingError,
    VaultChangedError,
    VaultInputError,
)
from flowforge.vault.hosts import check_host, parse_hosts
from flowforge.vault.models import SecretRow, VariableRow
from flowforge.vault.types import Reencryption, Secret, SecretSummary, Variable

__all__ = [
    "check_host",
    "count_secrets",
    "delete_secret",
    "delete_variable",
    "list_secrets",
    "list_variables",
    "read_variables",
    "reencrypt_secrets",
    "require_keys",
    "resolve_secrets",
    "set_secret",
    "set_variable",
]

SECRET_MAX_BYTES: Final = 64 * 1024
VARIABLE_MAX_BYTES: Final = 256 * 1024
REENCRYPT_BATCH_ROWS: Final = 100
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,62}")

logger = get_logger("vault")


async def set_secret(
    session: AsyncSession, keyring: Keyring, workspace_id: str, name: str, *, value: str, hosts: Sequence[str] = (), at_ms: int
) -> SecretSummary:
    """Make the secret, or give it a new value and new hosts. `at_ms`: wall time of the change.

    Raises:
        VaultInputError: the name is not of the form `[A-Z][A-Z0-9_]{0,62}` (`name_invalid`), the value is empty, above 64 KiB or no text
            (`value_invalid`), or a host is none (`host_invalid`).
        VaultChangedError: somebody else made the first one of this name at the same moment.
    """
    _check_name(name)
    plain = _encode_secret(value)
    allowed = parse_hosts(hosts)
    row = await repository.lock_secret(session, workspace_id, name)
    if row is None:
        row = SecretRow(id=make_id("sec"), workspace_id=workspace_id, name=name, version=0)
        session.add(row)
    sealed = keyring.seal(plain, _place(row))
    row.key_id, row.sealed = sealed.key_id, sealed.data
    row.hosts = encode(list(allowed)).decode()
    row.version += 1
    row.updated_at = at_ms
    await _store(session, name)
    return _summarize(row)


async def list_secrets(session: AsyncSession, workspace_id: str) -> list[SecretSummary]:
    """Every secret of the workspace by name, without its value."""
    return [_summarize(row) for row in await repository.list_secrets(session, workspace_id)]


async def delete_secret(session: AsyncSession, workspace_id: str, name: str) -> None:
    """Remove the secret for good.

    Raises:
        SecretMissingError: there is none of that name.
    """
    if not await repository.delete_secret(session, workspace_id, name):
        raise SecretMissingError([name])


async def resolve_secrets(session: AsyncSession, keyring: Keyring, workspace_id: str, names: Sequence[str]) -> dict[str, Secret]:
    """The open secrets by name. Who sends one to a host calls `check_host` before.

    Raises:
        SecretMissingError: some are not set; names them all.
        SecretUnreadableError: one does not open: its row was moved or changed, or its key is gone.
    """
    rows = {row.name: row for row in await repository.list_secrets(session, workspace_id, sorted(set(names)))}
    missing = [name for name in dict.fromkeys(names) if name not in rows]
    if missing:
        raise SecretMissingError(missing)
    return {name: _open(keyring, row) for name, row in rows.items()}


async def require_keys(session: AsyncSession, keyring: Keyring) -> None:
    """Raises KeysForeignError where there are secrets and none of them opens: runs that need them would fail here, and not elsewhere."""
    counts = await repository.count_secrets_by_key(session)
    if counts and not any(keyring.has_key(key_id) for key_id in counts):
        raise KeysForeignError(sum(counts.values()))


async def count_secrets(session: AsyncSession) -> int:
    """How many there are in all workspaces."""
    return sum((await repository.count_secrets_by_key(session)).values())


async def reencrypt_secrets(
    session: AsyncSession, keyring: Keyring, *, on_batch: Callable[[int], None] | None = None
) -> Reencryption:
    """Write every secret that has an older key anew with the current one, in batches of 100, each committed by itself.

    Killed at any point it leaves each row readable with the old or the new key; run again it goes on with what is left. A row that no
    key opens stays as it is and is named in the answer. Needs a session that may write. `on_batch` hears after each batch how many
    rows were looked at so far.
    """
    changed, unreadable, after_id = 0, list[str](), ""
    while rows := await repository.list_secrets_with_other_key(session, keyring.current_key_id, after_id, REENCRYPT_BATCH_ROWS):
        after_id = rows[-1].id
        for row in rows:
            try:
                changed += await _reencrypt(session, keyring, row)
            except SecretUnreadableError:
                unreadable.append(row.name)
            crashpoint("CP25")
        # The one place of the vault that commits: a transaction over all rows would keep every writer out.
        await session.commit()
        if on_batch is not None:
            on_batch(changed + len(unreadable))
    return Reencryption(changed, tuple(unreadable))


async def _reencrypt(session: AsyncSession, keyring: Keyring, row: SecretRow) -> bool:
    return await repository.replace_sealed(session, row, keyring.seal(_unseal(keyring, row), _place(row)))


async def set_variable(
    session: AsyncSession, workspace_id: str, name: str, *, value: JsonValue, at_ms: int, limits: Limits
) -> Variable:
    """Make the variable, or give it a new value. Runs under way keep what they read at their start.

    Raises:
        VaultInputError: the name is bad (`name_invalid`) or the value above 256 KiB (`value_invalid`).
        JsonRefusedError: the value is no JSON that can be kept.
        VaultChangedError: somebody else made the first one of this name at the same moment.
    """
    _check_name(name)
    text = encode(check_json(value, limits))
    if len(text) > VARIABLE_MAX_BYTES:
        raise VaultInputError("value", f"The value of {name} is larger than {VARIABLE_MAX_BYTES} bytes.", "value_invalid")
    row = await repository.lock_variable(session, workspace_id, name)
    if row is None:
        row = VariableRow(id=make_id("var"), workspace_id=workspace_id, name=name, version=0)
        session.add(row)
    row.value = text.decode()
    row.version += 1
    row.updated_at = at_ms
    await _store(session, name)
    return _show_variable(row)


async def list_variables(session: AsyncSession, workspace_id: str) -> list[Variable]:
    """Every variable of the workspace by name."""
    return [_show_variable(row) for row in await repository.list_variables(session, workspace_id)]


async def delete_variable(session: AsyncSession, workspace_id: str, name: str) -> None:
    """Remove the variable.

    Raises:
        VariableMissingError: there is none of that name.
    """
    if not await repository.delete_variable(session, workspace_id, name):
        raise VariableMissingError(name)


async def read_variables(session: AsyncSession, workspace_id: str, names: Sequence[str]) -> JsonObject:
    """Values by name; a name that is not set is left out."""
    rows = await repository.list_variables(session, workspace_id, sorted(set(names)))
    return {row.name: decode(row.value) for row in rows}


async def _store(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as fault:
        raise VaultChangedError(name) from fault


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        message = f"{name[:80]!r} is no name; write capital letters, digits and _, a letter first, at most 63, like SHOP_TOKEN."
        raise VaultInputError("name", message, "name_invalid")


def _encode_secret(value: str) -> bytes:
    try:
        plain = value.encode()
    except UnicodeEncodeError:
        raise VaultInputError("value", "The value of a secret must be text.", "value_invalid") from None
    if not plain or len(plain) > SECRET_MAX_BYTES:
        raise VaultInputError("value", f"The value of a secret has 1 to {SECRET_MAX_BYTES} bytes.", "value_invalid")
    return plain


def _place(row: SecretRow) -> Place:
    return Place(table=SecretRow.__tablename__, row=row.id, workspace_id=row.workspace_id)


def _open(keyring: Keyring, row: SecretRow) -> Secret:
    return Secret(row.name, _unseal(keyring, row).decode(), _read_hosts(row))


def _unseal(keyring: Keyring, row: SecretRow) -> bytes:
    try:
        return keyring.open(Sealed(row.key_id, row.sealed), _place(row))
    except UnreadableError as fault:
        logger.error("A secret does not open; it is refused.", alarm="secret_unreadable", secret=row.id, cause=fault.message)
        raise SecretUnreadableError(row.name) from fault


def _summarize(row: SecretRow) -> SecretSummary:
    return SecretSummary(row.name, _read_hosts(row), row.version, row.updated_at)


def _read_hosts(row: SecretRow) -> tuple[str, ...]:
    hosts = decode(row.hosts)
    return tuple(str(host) for host in hosts) if isinstance(hosts, list) else ()


def _show_variable(row: VariableRow) -> Variable:
    return Variable(row.name, decode(row.value), row.version, row.updated_at)
