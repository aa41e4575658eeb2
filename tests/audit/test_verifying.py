"""Every way to spoil the log is noticed, and the first bad row is named: in the database and in a file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text, update
from tests.audit.logbook import ADA, AT, AUTHOR, KEYS, RING, export, read, sign, tamper, write

from flowforge.audit.errors import ExportUnreadableError, PublicKeyError
from flowforge.audit.exporting import Selection, export_lines, show_rows
from flowforge.audit.models import AuditRow
from flowforge.audit.proving import read_keys, verify_chain, verify_file
from flowforge.audit.rows import chain_hash, describe_entry, read_entry
from flowforge.audit.service import Personal, erase_person, record_as
from flowforge.audit.verifying import Reason, Verdict
from flowforge.kit.database.session import Database
from flowforge.kit.signing import SigningKeys

OTHER = SigningKeys(bytes(range(1, 33)))


async def verify(database: Database, keys: SigningKeys = KEYS) -> Verdict:
    return await verify_chain(database.read, keys.list_public())


def verify_here(path: Path, keys: SigningKeys = KEYS) -> Verdict:
    return verify_file(path, keys.list_public())


async def fill(database: Database) -> None:
    """Ten rows, checkpoints at 4 and 8."""
    for count in (4, 4, 2):
        await write(database, count, AUTHOR)
        if count == 4:
            await sign(database)


async def rewrite(database: Database, first: int) -> None:
    """What somebody does who knows how hashes are made, but has no key: all hashes from a row on are made anew."""
    rows = await read(database)
    previous = rows[first - 2].hash if first > 1 else "0" * 64
    async with database.write.begin() as session:
        for row in rows[first - 1 :]:
            previous = chain_hash(previous, describe_entry(read_entry(row)))
            await session.execute(update(AuditRow).where(AuditRow.no == row.no).values(hash=previous))


async def test_a_sound_chain_is_valid_on_every_database(database: Database, tmp_path: Path):
    assert await verify(database) == Verdict(0, 0, 0)
    await fill(database)
    assert await verify(database) == Verdict(checked=10, signed_up_to=8, last=10)
    await export(database, tmp_path / "log")
    assert verify_here(tmp_path / "log") == Verdict(10, 8, 10)
    assert verify_file(tmp_path / "log") == Verdict(10, 8, 10)


@pytest.mark.parametrize(
    ("statement", "first_bad", "reason"),
    [
        ("UPDATE audit_rows SET actor = 'user:other' WHERE no = 3", 3, Reason.CHANGED),
        ("UPDATE audit_rows SET after = '[9]' WHERE no = 9", 9, Reason.CHANGED),
        ("UPDATE audit_rows SET after = 'no json' WHERE no = 2", 2, Reason.CHANGED),
        ("UPDATE audit_rows SET workspace_id = 'ws_1' WHERE no = 1", 1, Reason.CHANGED),
        ("UPDATE audit_rows SET at = at + 1 WHERE no = 5", 5, Reason.CHANGED),
        ("DELETE FROM audit_rows WHERE no = 6", 6, Reason.REMOVED),
        ("DELETE FROM audit_rows WHERE no >= 8", 8, Reason.TRUNCATED),
        ("DELETE FROM audit_rows WHERE no = 10", 10, Reason.TRUNCATED),
        ("DELETE FROM audit_rows WHERE no <= 4", 1, Reason.REMOVED),
        ("UPDATE audit_checkpoints SET at = 0 WHERE no = 4", 4, Reason.SIGNATURE),
        ("UPDATE audit_head SET retired_up_to = 4", 5, None),
    ],
)
async def test_a_row_changed_around_the_triggers_is_named(
    sqlite: Database, statement: str, first_bad: int, reason: Reason | None
):
    await fill(sqlite)
    await tamper(sqlite, statement)
    verdict = await verify(sqlite)
    if reason is None:
        assert verdict.is_valid
        assert verdict.checked == 10 - first_bad + 1
    else:
        assert (verdict.first_bad, verdict.reason, verdict.is_valid) == (first_bad, reason, False)
        assert str(first_bad) in verdict.message


async def test_rows_that_change_places_are_noticed(sqlite: Database):
    await fill(sqlite)
    await tamper(
        sqlite,
        "UPDATE audit_rows SET no = 100 WHERE no = 2",
        "UPDATE audit_rows SET no = 2 WHERE no = 3",
        "UPDATE audit_rows SET no = 3 WHERE no = 100",
    )
    verdict = await verify(sqlite)
    assert (verdict.first_bad, verdict.reason) == (2, Reason.CHANGED)


async def test_hashes_made_anew_do_not_agree_with_the_checkpoint(sqlite: Database):
    await fill(sqlite)
    await tamper(sqlite, "UPDATE audit_rows SET actor = 'user:other' WHERE no = 6")
    await rewrite(sqlite, 6)
    verdict = await verify(sqlite)
    assert (verdict.first_bad, verdict.reason, verdict.checked) == (5, Reason.REWRITTEN, 7)
    assert "from 5 to 8" in verdict.message


async def test_a_checkpoint_of_another_key_is_not_believed(sqlite: Database):
    await fill(sqlite)
    verdict = await verify(sqlite, OTHER)
    assert (verdict.first_bad, verdict.reason) == (8, Reason.KEY_UNKNOWN)


async def test_a_new_key_signs_what_the_old_one_has_signed(sqlite: Database):
    await fill(sqlite)
    assert await sign(sqlite, OTHER) == 11
    assert (await read(sqlite))[-1].action == "audit.key_changed"
    assert await verify(sqlite, OTHER) == Verdict(11, 11, 11)
    assert await sign(sqlite, OTHER) is None


async def test_erasing_a_person_leaves_the_chain_sound(sqlite: Database):
    async with sqlite.write.begin() as session:
        await record_as(session, AUTHOR, "user.created", "user", ADA, after={"name": Personal(ADA, "Ada")})
    await sign(sqlite)
    async with sqlite.read() as session:
        (shown,) = await show_rows(session, RING, await read(sqlite))
    assert (shown["after"], shown["ip"]) == ({"name": "Ada"}, "192.0.2.7")
    async with sqlite.write.begin() as session:
        await erase_person(session, ADA, at_ms=AT)
    async with sqlite.read() as session:
        (shown,) = await show_rows(session, RING, await read(sqlite))
        assert (await session.execute(text("SELECT sealed FROM person_keys"))).scalar_one() is None
    assert (shown["after"], shown["ip"]) == ({"name": "(erased)"}, "(erased)")
    assert await verify(sqlite) == Verdict(1, 1, 1)


def row_at(lines: list[bytes], no: int) -> int:
    return next(index for index, line in enumerate(lines) if (row := json.loads(line))["kind"] == "row" and row["no"] == no)


def change(lines: list[bytes]) -> None:
    index = row_at(lines, 6)
    lines[index] = lines[index].replace(b"thing_1", b"thing_7")


def add_field(lines: list[bytes]) -> None:
    index = row_at(lines, 6)
    lines[index] = lines[index].replace(b'"action"', b'"a":1,"action"')


def spoil(lines: list[bytes]) -> None:
    lines[row_at(lines, 6)] = b"{not json\n"


def remove(lines: list[bytes]) -> None:
    del lines[row_at(lines, 6)]


def insert(lines: list[bytes]) -> None:
    index = row_at(lines, 6)
    lines.insert(index, lines[index - 1])


def reorder(lines: list[bytes]) -> None:
    index = row_at(lines, 6)
    lines[index], lines[index + 1] = lines[index + 1], lines[index]


def cut_before_checkpoint(lines: list[bytes]) -> None:
    del lines[row_at(lines, 7) :]


def cut_end(lines: list[bytes]) -> None:
    end = lines.pop()
    lines.pop()
    lines.append(end)


def cut_beginning(lines: list[bytes]) -> None:
    del lines[row_at(lines, 1) : row_at(lines, 3)]
    lines[0] = lines[0].replace(b'"from":1', b'"from":3')


def forge_checkpoint(lines: list[bytes]) -> None:
    index = next(index for index, line in enumerate(lines) if b'"checkpoint"' in line and b'"no":8' in line)
    lines[index] = lines[index].replace(b'"no":8', b'"no":7')


@pytest.mark.parametrize(
    ("spoiling", "first_bad", "reason"),
    [
        (change, 6, Reason.CHANGED),
        (add_field, 6, Reason.CHANGED),
        (spoil, 6, Reason.CHANGED),
        (remove, 6, Reason.REMOVED),
        (insert, 5, Reason.INSERTED),
        (reorder, 6, Reason.REORDERED),
        (cut_before_checkpoint, 7, Reason.TRUNCATED),
        (cut_end, 10, Reason.TRUNCATED),
        (cut_beginning, 1, Reason.REMOVED),
        (forge_checkpoint, 7, Reason.SIGNATURE),
    ],
)
async def test_a_spoilt_file_is_noticed_with_the_public_key_alone(
    sqlite: Database, tmp_path: Path, spoiling: Callable[[list[bytes]], None], first_bad: int, reason: Reason
):
    await fill(sqlite)
    lines = await export(sqlite, tmp_path / "log")
    spoiling(lines)
    (tmp_path / "log").write_bytes(b"".join(lines))
    verdict = verify_here(tmp_path / "log")
    assert (verdict.first_bad, verdict.reason) == (first_bad, reason)


async def test_a_part_of_the_log_is_not_verified(sqlite: Database, tmp_path: Path):
    await fill(sqlite)
    pieces = [piece async for piece in export_lines(sqlite.read, Selection("ws_1"), KEYS.list_public())]
    (tmp_path / "log").write_bytes(b"".join(pieces))
    with pytest.raises(ExportUnreadableError, match="part of the log"):
        verify_here(tmp_path / "log")


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"kind":"chain","format":9}\n', b"\xff\xfe\n", b"[]\n"])
def test_what_is_no_export_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(ExportUnreadableError):
        verify_here(tmp_path / "log")


@pytest.mark.parametrize("given", ["", "{}", "[]", '{"keys":[]}', '{"kty":"OKP","crv":"Ed25519","x":"AAAA"}', '{"kty":"RSA"}'])
def test_what_is_no_key_is_refused(given: str):
    with pytest.raises(PublicKeyError):
        read_keys(given)


def test_a_key_and_a_set_of_keys_are_read():
    jwks = KEYS.list_public_jwks()
    assert read_keys(json.dumps(jwks[0])) == KEYS.list_public()
    assert read_keys(json.dumps({"keys": jwks})) == KEYS.list_public()
