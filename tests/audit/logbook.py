"""Writing and looking at a log, for tests."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select, text

from flowforge.audit.checkpoints import make_checkpoint
from flowforge.audit.exporting import Selection, export_lines
from flowforge.audit.models import AuditRow
from flowforge.audit.service import Author, record_as
from flowforge.kit.database.session import Database
from flowforge.kit.keyring import Keyring
from flowforge.kit.signing import SigningKeys

AT = 1_780_000_000_000
RING = Keyring.generate()
KEYS = SigningKeys(bytes(range(32)))
ADA = "usr_" + "1" * 26
AUTHOR = Author(f"user:{ADA}", "session:ses_1", "192.0.2.7", "req_1", AT, RING)
SYSTEM = Author("system", at_ms=AT)
GUARDS = ("audit_rows_update", "audit_rows_delete", "audit_rows_insert", "audit_checkpoints_update", "audit_checkpoints_delete")


async def write(database: Database, count: int = 1, author: Author = SYSTEM) -> None:
    async with database.write.begin() as session:
        for number in range(count):
            await record_as(session, author, "thing.changed", "thing", f"thing_{number}", after={"count": number})


async def sign(database: Database, keys: SigningKeys = KEYS, at_ms: int = AT) -> int | None:
    async with database.write.begin() as session:
        return await make_checkpoint(session, keys, at_ms)


async def read(database: Database) -> Sequence[AuditRow]:
    async with database.read() as session:
        return (await session.scalars(select(AuditRow).order_by(AuditRow.no))).all()


async def tamper(database: Database, *statements: str) -> None:
    """Changes rows as who owns the (SQLite) database can: without the triggers."""
    async with database.write.begin() as session:
        for guard in GUARDS:
            await session.execute(text(f"DROP TRIGGER IF EXISTS {guard}"))
        for statement in statements:
            await session.execute(text(statement))


async def export(database: Database, path: Path, keys: SigningKeys = KEYS) -> list[bytes]:
    """Writes an export and gives its lines."""
    pieces = [piece async for piece in export_lines(database.read, Selection(), keys.list_public())]
    return _keep(path, b"".join(pieces))


def _keep(path: Path, data: bytes) -> list[bytes]:
    path.write_bytes(data)
    return data.splitlines(keepends=True)
