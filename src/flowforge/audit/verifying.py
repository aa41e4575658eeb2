"""Is the chain what was written? Tells the first row that was changed, removed, inserted or moved. Pure: the rows are handed in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flowforge.audit.checkpoints import Checkpoint
from flowforge.audit.rows import FIRST_HASH, HASHED, chain_hash
from flowforge.kit.errors import InvariantError
from flowforge.kit.signing import PublicKey
from flowforge.kit.values import JsonObject

_FIELDS: Final = HASHED | {"hash"}


class Reason(StrEnum):
    """What is wrong with the first bad row."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    SIGNATURE = "signature"
    KEY_UNKNOWN = "key_unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`checked`: rows that are as they were written. `signed_up_to`: the last row that a checkpoint of a known key covers; 0: none."""

    checked: int
    signed_up_to: int
    last: int
    first_bad: int | None = None
    reason: Reason | None = None
    message: str = ""

    @property
    def is_valid(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Start:
    """Behind which row the chain begins, with that row's hash: the first of all, or one whose forerunners were retired."""

    no: int = 0
    hash: str = FIRST_HASH


class ChainCheck:
    """Takes the rows one after the other, until one is bad; then `finish` says which."""

    def __init__(self, start: Start, checkpoints: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> None:
        """`keys`: those that are trusted."""
        self._checkpoints: Final = {checkpoint.no: checkpoint for checkpoint in checkpoints}
        self._keys: Final = {key.id: key for key in keys}
        self._last = start.no
        self._hash = start.hash
        self._checked = 0
        self._signed = 0
        self._sound = start.no
        """The last row that a checkpoint has confirmed."""
        self._waiting: JsonObject | None = None
        self._seen_later: set[int] = set()
        self._bad: tuple[int, Reason, str] | None = self._judge_checkpoints(start)

    @property
    def is_bad(self) -> bool:
        """A bad row was found; further ones only tell whether a missing one was moved."""
        return self._bad is not None

    def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """The rows in the order in which they are stored, as `describe_entry` describes them."""
        for row in rows:
            if self._bad is None:
                self._bad = self._judge(row)
            elif isinstance(no := row.get("no"), int):
                self._seen_later.add(no)

    def finish(self, end: int | None = None) -> Verdict:
        """`end`: the number of the last row, where somebody knows it."""
        newest = max([*self._checkpoints, end or 0])
        if self._bad is None and newest > self._last:
            first = self._last + 1
            what = "is missing" if newest == first else f"to {newest} are missing"
            self._bad = (first, Reason.TRUNCATED, f"The end was cut off: {_name(first)} {what}.")
        if self._bad is None:
            return Verdict(self._checked, self._signed, self._last)
        no, reason, message = self._bad
        if reason is Reason.REMOVED and no in self._seen_later:
            reason, message = Reason.REORDERED, f"Row {no} does not stand where it belongs: the rows were put into another order."
        return Verdict(self._checked, self._signed, self._last, no, reason, message)

    def _judge_checkpoints(self, start: Start) -> tuple[int, Reason, str] | None:
        known = [no for no, checkpoint in self._checkpoints.items() if checkpoint.key_id in self._keys]
        for no in sorted(known):
            checkpoint = self._checkpoints[no]
            if not checkpoint.is_signed_by(self._keys[checkpoint.key_id]):
                return no, Reason.SIGNATURE, f"The checkpoint at row {no} was changed: its signature is not that of its key."
            self._signed = no
        unknown = [no for no in self._checkpoints if no > self._signed]
        if unknown:
            no = max(unknown)
            key_id = self._checkpoints[no].key_id
            return no, Reason.KEY_UNKNOWN, f"The checkpoint at row {no} is signed with the key {key_id}, which is not given."
        if start.no:
            found = self._checkpoints.get(start.no)
            if found is None or found.hash != start.hash:
                return 1, Reason.REMOVED, f"The rows before {start.no + 1} are gone, and no checkpoint tells how they ended."
        return None

    def _judge(self, row: Mapping[str, object]) -> tuple[int, Reason, str] | None:
        no, expected = row.get("no"), self._last + 1
        if not isinstance(no, int) or frozenset[str](row) != _FIELDS:
            return expected, Reason.CHANGED, f"Where row {expected} should be there is something that is no row."
        if no > expected:
            return expected, Reason.REMOVED, f"Row {expected} was removed."
        if no < expected:
            return no, Reason.INSERTED, f"Row {no} stands behind row {self._last}: it was inserted or moved."
        if _hash(self._hash, row) != row["hash"]:
            return no, Reason.CHANGED, f"Row {no} was changed: its content and the row before do not give its hash."
        return self._accept(no, str(row["hash"]))

    def _accept(self, no: int, row_hash: str) -> tuple[int, Reason, str] | None:
        self._last, self._hash = no, row_hash
        checkpoint = self._checkpoints.get(no)
        if checkpoint is not None:
            if checkpoint.hash != row_hash:
                first = self._sound + 1
                message = f"The rows from {first} to {no} were written anew: they do not end as the checkpoint at {no} says."
                return first, Reason.REWRITTEN, message
            self._sound = no
        self._checked += 1
        return None


def _hash(previous: str, row: Mapping[str, object]) -> str | None:
    content: JsonObject = {name: row[name] for name in HASHED}  # type: ignore[misc]
    try:
        return chain_hash(previous, content)
    except InvariantError:
        return None


def _name(no: int) -> str:
    return f"row {no}"
