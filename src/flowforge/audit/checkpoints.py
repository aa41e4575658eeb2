"""Checkpoints: the end of the chain, signed. Whoever has the public key can tell that the rows up to there are those of then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit import chain
from flowforge.audit.canonical import encode_canonically
from flowforge.audit.models import AuditCheckpoint
from flowforge.audit.service import chain_records, record_as
from flowforge.audit.types import SYSTEM_ACTOR, Author
from flowforge.kit.signing import PublicKey, SigningKeys, decode_base64url, encode_base64url, make_public_key
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.selecting import Selection

KEY_CHANGED: Final = "audit.key_changed"
"""The action of the row that begins the part of the chain which another key signs."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`hash` of the row `no`, signed at `time`. `signature` is base64url."""

    no: int
    hash: str
    time: str
    key_id: str
    signature: str

    @classmethod
    def parse(cls, line: Mapping[str, object]) -> Self:
        """From a line of an export. Raises ValueError: it is none."""
        no, texts = line.get("no"), [line.get(name) for name in ("hash", "time", "key_id", "signature")]
        found = [text for text in texts if isinstance(text, str)]
        if isinstance(no, int) and len(found) == len(texts):
            return cls(no, *found)
        raise ValueError("the checkpoint lacks one of no, hash, time, key_id and signature")

    def describe(self) -> JsonObject:
        """As it stands in lists and exports."""
        return {**self._signed(), "signature": self.signature}

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether the signature over no, hash, time and key id is this key's."""
        try:
            return self.key_id == key.id and key.verify(encode_canonically(self._signed()), decode_base64url(self.signature))
        except ValueError:
            return False

    def _signed(self) -> JsonObject:
        return {"no": self.no, "hash": self.hash, "time": self.time, "key_id": self.key_id}


async def make_checkpoint(session: AsyncSession, signing: SigningKeys, at_ms: int, *, every_ms: int = 0) -> int | None:
    """Signs the end of the chain and gives its number, unless nothing was added, or the last one is younger than `every_ms`.

    Where the last one was signed with another key, a row tells so first, which the new key then signs: the chain is never left without
    a checkpoint of a key that is known now.
    """
    head = await chain.lock_head(session)
    last = await find_last_checkpoint(session)
    is_other_key = last is not None and last.key_id != signing.current.id
    if last is not None and not is_other_key and (last.no == head.no or at_ms - last.at < every_ms):
        return None
    if is_other_key:
        note: JsonObject = {"key_id": signing.current.id}
        await record_as(session, Author(SYSTEM_ACTOR, at_ms=at_ms), KEY_CHANGED, "audit", signing.current.id, after=note)
        await chain_records(session)
        head = await chain.lock_head(session)
    if head.no == 0:
        return None
    unsigned = Checkpoint(head.no, head.hash, format_timestamp_ms(at_ms), signing.current.id, "")
    _, signature = signing.sign(
        encode_canonically({name: item for name, item in unsigned.describe().items() if name != "signature"})
    )
    session.add(
        AuditCheckpoint(
            no=head.no,
            hash=head.hash,
            at=at_ms,
            key_id=signing.current.id,
            public_key=signing.current.x,
            signature=encode_base64url(signature),
        )
    )
    await session.flush()
    return head.no


async def find_last_checkpoint(session: AsyncSession) -> AuditCheckpoint | None:
    """The newest one."""
    return (await session.scalars(select(AuditCheckpoint).order_by(AuditCheckpoint.no.desc()).limit(1))).one_or_none()


async def list_checkpoints(session: AsyncSession, *, after: int = 0, limit: int | None = None) -> Sequence[AuditCheckpoint]:
    """Those behind a number, oldest first."""
    query = select(AuditCheckpoint).where(AuditCheckpoint.no > after).order_by(AuditCheckpoint.no)
    return (await session.scalars(query if limit is None else query.limit(limit))).all()


async def select_checkpoints(session: AsyncSession, selection: Selection) -> Sequence[AuditCheckpoint]:
    return (await session.scalars(selection.narrow(select(AuditCheckpoint)))).all()


def read_checkpoint(row: AuditCheckpoint) -> Checkpoint:
    return Checkpoint(row.no, row.hash, format_timestamp_ms(row.at), row.key_id, row.signature)


def list_checkpoint_keys(rows: Sequence[AuditCheckpoint]) -> list[PublicKey]:
    """The public keys that they were signed with, as they were stored beside them; one that is damaged is left out."""
    keys: dict[str, PublicKey] = {}
    for x in dict.fromkeys(row.public_key for row in rows):
        try:
            key = make_public_key(decode_base64url(x))
        except ValueError:
            continue
        keys[key.id] = key
    return list(keys.values())
