"""The log as a file: JSON lines that anyone can verify with the public key alone, or a table.

A whole export is a `chain` line (where it begins), the public keys, the checkpoints, all rows as they are hashed, and an `end` line. What
is filtered, or of one workspace, begins with a `part` line: rows of others are not in it, so that nothing can be verified.
"""

import csv
import io
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit import chain, persons, repository
from flowforge.audit.canonical import encode_canonically
from flowforge.audit.checkpoints import list_checkpoint_keys, list_checkpoints, read_checkpoint
from flowforge.audit.models import AuditCheckpoint, AuditRow
from flowforge.audit.rows import FIRST_HASH, describe_entry, read_entry
from flowforge.kit.border import encode
from flowforge.kit.keyring import Keyring
from flowforge.kit.signing import PublicKey
from flowforge.kit.values import JsonObject, JsonValue

FORMAT: Final = 1
BATCH_ROWS: Final = 500
COLUMNS: Final = (
    *("no", "time", "workspace_id", "action", "entity", "entity_id", "actor"),
    *("credential", "ip", "request_id", "before", "after", "hash"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

OpenSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows. `workspace_id` None: of the whole installation. Without conditions too it is the whole chain."""

    workspace_id: str | None = None
    conditions: Sequence[ColumnElement[bool]] = ()

    @property
    def is_whole(self) -> bool:
        return self.workspace_id is None and not self.conditions


async def export_lines(open_session: OpenSession, selection: Selection, keys: Sequence[PublicKey]) -> AsyncGenerator[bytes]:
    """JSON lines, in pieces. `keys`: the installation's own, beside those that checkpoints were signed with.

    A session is open for one piece at a time: nobody's slow reading keeps a connection.
    """
    if selection.is_whole:
        async with open_session() as session:
            head = await chain.find_head(session)
            checkpoints = await list_checkpoints(session)
        end, start = (0, 0) if head is None else (head.no, head.retired_up_to)
        previous = next((found.hash for found in checkpoints if found.no == start), FIRST_HASH)
        known = {key.id: key for key in (*list_checkpoint_keys(checkpoints), *keys)}
        # One that was made after the head was read has its rows in the next export.
        yield write_beginning(start, previous, list(known.values()), [found for found in checkpoints if found.no <= end])
    else:
        start, end = 0, await _find_end(open_session)
        yield _line({"kind": "part", "format": FORMAT})
    count = 0
    async for rows in list_batches(open_session, selection, start, end):
        count += len(rows)
        yield b"".join(write_row(row) for row in rows)
    yield _line({"kind": "end", "rows": count, "last": end})


def write_beginning(start: int, previous: str, keys: Sequence[PublicKey], checkpoints: Sequence[AuditCheckpoint]) -> bytes:
    """The lines before the rows. `start`: the row before the first one, `previous` its hash."""
    first = _line({"kind": "chain", "format": FORMAT, "from": start + 1, "previous": previous})
    listed = b"".join(_line({"kind": "key", "jwk": dict[str, JsonValue](key.show_jwk())}) for key in keys)
    return first + listed + b"".join(_line({"kind": "checkpoint", **read_checkpoint(found).describe()}) for found in checkpoints)


def write_row(row: AuditRow) -> bytes:
    """A row as it is hashed."""
    return _line({"kind": "row", **describe_entry(read_entry(row))})


async def export_table(open_session: OpenSession, selection: Selection, keyring: Keyring) -> AsyncGenerator[bytes]:
    """CSV (RFC 4180) for people: what is personal is readable, and a text that a spreadsheet would take for a formula gets a `'`."""
    yield _write_table([COLUMNS])
    async for rows in list_batches(open_session, selection, 0, await _find_end(open_session)):
        async with open_session() as session:
            shown = await show_rows(session, keyring, rows)
        yield _write_table([[_write_cell(row[name]) for name in COLUMNS] for row in shown])


async def list_batches(
    open_session: OpenSession, selection: Selection, after: int, up_to: int
) -> AsyncGenerator[Sequence[AuditRow]]:
    """The rows behind one up to another, oldest first, a batch at a time."""
    while True:
        async with open_session() as session:
            rows = await repository.list_rows_after(
                session, selection.workspace_id, selection.conditions, after, up_to, BATCH_ROWS
            )
        if rows:
            yield rows
            after = rows[-1].no
        if len(rows) < BATCH_ROWS:
            return


async def show_rows(session: AsyncSession, keyring: Keyring, rows: Sequence[AuditRow]) -> list[JsonObject]:
    """Rows for people: what is sealed is opened, where the person was not erased."""
    described = [describe_entry(read_entry(row)) for row in rows]
    keys = await persons.find_keys(session, keyring, persons.list_sealed(described))
    return [{name: persons.open_values(value, keys) for name, value in row.items()} for row in described]


async def _find_end(open_session: OpenSession) -> int:
    async with open_session() as session:
        head = await chain.find_head(session)
    return 0 if head is None else head.no


def _line(value: JsonObject) -> bytes:
    return encode_canonically(value) + b"\n"


def _write_table(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _write_cell(value: JsonValue) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else encode(value).decode()
    return "'" + text if text.startswith(_FORMULA) and isinstance(value, str) else text
