"""Verification: of the chain in the database, and of an export that is all that one has."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from flowforge.audit import chain
from flowforge.audit.checkpoints import Checkpoint, list_checkpoints, read_checkpoint
from flowforge.audit.errors import ExportUnreadableError, PublicKeyError
from flowforge.audit.exporting import FORMAT, OpenSession, Selection, list_batches
from flowforge.audit.models import AuditRow
from flowforge.audit.rows import FIRST_HASH, describe_entry, read_entry
from flowforge.audit.verifying import ChainCheck, Start, Verdict
from flowforge.kit.border import decode
from flowforge.kit.errors import InvariantError
from flowforge.kit.folder import explain_os_error
from flowforge.kit.signing import PublicKey, read_public_jwk
from flowforge.kit.values import JsonObject

_NO_ROW: Final[JsonObject] = {}
"""Stands for what cannot be read as a row."""


async def verify_chain(open_session: OpenSession, keys: Sequence[PublicKey]) -> Verdict:
    """Goes through all rows that are there. `keys`: the installation's own; a checkpoint of an older one counts below one of these.

    Writers go on meanwhile; rows that come after the beginning are not looked at.
    """
    verdict, retired = await _verify_once(open_session, keys)
    if not verdict.is_valid and retired != await _find_retired(open_session):
        # Rows were retired while we went through them.
        verdict, _ = await _verify_once(open_session, keys)
    return verdict


async def _verify_once(open_session: OpenSession, keys: Sequence[PublicKey]) -> tuple[Verdict, int]:
    async with open_session() as session:
        found = await list_checkpoints(session)
        head = await chain.find_head(session)
    end, retired = (0, 0) if head is None else (head.no, head.retired_up_to)
    checkpoints = [read_checkpoint(row) for row in found]
    before = next((checkpoint.hash for checkpoint in checkpoints if checkpoint.no == retired), FIRST_HASH)
    check = ChainCheck(Start(retired, before), checkpoints, keys)
    async for rows in list_batches(open_session, Selection(), retired, max(end, *(c.no for c in checkpoints), 0)):
        # In a thread, so that the server answers others meanwhile.
        await asyncio.to_thread(check.add, (_describe(row) for row in rows))
    return check.finish(end), retired


async def _find_retired(open_session: OpenSession) -> int:
    async with open_session() as session:
        head = await chain.find_head(session)
    return 0 if head is None else head.retired_up_to


def _describe(row: AuditRow) -> JsonObject:
    try:
        return describe_entry(read_entry(row))
    except InvariantError:
        return _NO_ROW


@dataclass(slots=True)
class _Frame:
    """What an export says beside its rows."""

    start: Start | None = None
    end: int | None = None
    keys: list[PublicKey] = field(default_factory=list[PublicKey])
    checkpoints: list[Checkpoint] = field(default_factory=list[Checkpoint])


def verify_file(path: Path, keys: Sequence[PublicKey] = ()) -> Verdict:
    """Verifies a whole export. `keys`: the public keys that are trusted; without any those in the file are, which proves only that
    nobody without the installation's key has changed it since, if the file comes from where the key is known.

    Raises:
        ExportUnreadableError: it is no whole export.
        StorageError: it cannot be read.
    """
    try:
        frame = _read_frame(path)
        if frame.start is None:
            raise ExportUnreadableError("it does not begin with a line of the kind chain")
        check = ChainCheck(frame.start, frame.checkpoints, keys or frame.keys)
        check.add(_read_rows(path))
    except FileNotFoundError:
        raise ExportUnreadableError("it is not there") from None
    except OSError as fault:
        raise explain_os_error(fault, path) from fault
    return check.finish(frame.end)


def read_keys(text: str) -> list[PublicKey]:
    """The public keys of a JWK or a JWKS.

    Raises:
        PublicKeyError: it is none, or holds no Ed25519 key.
    """
    try:
        found = decode(text)
    except InvariantError:
        raise PublicKeyError("it is no JSON") from None
    listed = found.get("keys") if isinstance(found, dict) and "keys" in found else [found]
    keys: list[PublicKey] = []
    for jwk in listed if isinstance(listed, list) else []:
        try:
            keys.append(read_public_jwk(cast("Mapping[str, object]", jwk) if isinstance(jwk, dict) else {}))
        except ValueError as fault:
            raise PublicKeyError(str(fault)) from None
    if not keys:
        raise PublicKeyError("it holds no key")
    return keys


def _read_frame(path: Path) -> _Frame:
    frame = _Frame()
    for number, line in _read_lines(path):
        try:
            _read_frame_line(frame, line)
        except ValueError as fault:
            raise ExportUnreadableError(f"in line {number} {fault}") from None
    return frame


def _read_frame_line(frame: _Frame, line: JsonObject) -> None:
    match line.get("kind"):
        case "part":
            raise ValueError("it says that the file is a part of the log; export the whole of it")
        case "chain":
            number, previous = line.get("from"), line.get("previous")
            if line.get("format") != FORMAT or not isinstance(number, int) or not isinstance(previous, str):
                raise ValueError("the beginning is of another format")
            # The first row has no forerunner, whatever the file says.
            frame.start = Start(number - 1, previous) if number > 1 else Start()
        case "key":
            jwk = line.get("jwk")
            frame.keys.append(read_public_jwk(cast("Mapping[str, object]", jwk) if isinstance(jwk, dict) else {}))
        case "checkpoint":
            frame.checkpoints.append(Checkpoint.parse(line))
        case "end":
            end = line.get("last")
            frame.end = end if isinstance(end, int) else None
        case _:
            pass


def _read_rows(path: Path) -> Iterator[JsonObject]:
    for _, line in _read_lines(path):
        if line.get("kind") not in {"chain", "key", "checkpoint", "end"}:
            yield {name: value for name, value in line.items() if name != "kind"}


def _read_lines(path: Path) -> Iterator[tuple[int, JsonObject]]:
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                line = decode(text)
            except InvariantError:
                line = None
            # What is no object is taken for a row that was spoilt, so that the row is named.
            yield number, line if isinstance(line, dict) else _NO_ROW
