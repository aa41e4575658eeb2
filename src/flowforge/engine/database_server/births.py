"""New runs: what a server knows of earlier ones, and their rows. Plan: `dedup` and parent by their unique indexes.

Two processes that start under one `dedup` at once: the unique key decides, and the loser reads who won (`commit`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from flowforge.engine.birth_rules import RUN_COLUMNS, BirthRules, RunSlots
from flowforge.engine.database_server import run_slots
from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.rows import Reading, select_keys, select_pairs, write_rows
from flowforge.engine.store import NewRun, Turn

_BY_DEDUP = "SELECT workspace_id, dedup, id, no FROM runs WHERE"
_BY_PARENT = "SELECT parent_no, parent_key, id, no FROM runs WHERE"
_BORN = "SELECT run_no FROM journal WHERE seq=1 AND run_no IN"
_ALIVE = "SELECT no FROM workers WHERE dead=0 AND no IN"
_PARENT = "SELECT parent_no FROM runs WHERE no=%s"
_HOLDS = "SELECT 1 FROM slots WHERE scope=%s AND run_no=%s AND \"key\"=''"
_RUN = f"INSERT INTO runs({RUN_COLUMNS})"
_LABEL = 'INSERT INTO run_labels(run_no, "key", workspace_id, value, started_at)'
_QUEUE = "INSERT INTO queue(run_no, workspace_id, suspect, priority, due_at, cause, since)"
_NOTHING: Final = ()


def find_born(turns: Sequence[Turn]) -> list[NewRun]:
    """All runs that the turns may bring."""
    starts = [turn.start for turn in turns if turn.start is not None]
    return [*starts, *(child for turn in turns for child in turn.children)]


def ask_about_births(reading: Reading, born: Sequence[NewRun], share: str) -> None:
    """What `Births` must know, read together with the rest. Its workers stay alive until COMMIT (`share`)."""
    owners = {new.owner for new in born if new.owner is not None}
    named = [(new.workspace_id, new.dedup) for new in born if new.dedup is not None]
    called = [(new.parent_no, new.parent_key) for new in born if new.parent_no is not None and new.parent_key is not None]
    reading.add("alive", select_keys(_ALIVE, owners, share))
    reading.add("names", select_pairs(_BY_DEDUP, ("workspace_id", "dedup"), named))
    reading.add("calls", select_pairs(_BY_PARENT, ("parent_no", "parent_key"), called))
    reading.add("born", select_keys(_BORN, {new.no for new in born if new.slot is not None}))


@dataclass(slots=True)
class Births(BirthRules[Session]):
    """See `BirthRules`. `found`: the rows of `ask_about_births`, which were read in one round trip for all."""

    run_slots: RunSlots[Session] = run_slots
    found: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    alive: set[int] = field(default_factory=set[int])
    stored: set[int] = field(default_factory=set[int])
    """Starts with a slot whose first row is there already."""

    def __post_init__(self) -> None:
        self.alive = {no for (no,) in self.found.get("alive", _NOTHING)}
        self.stored = {no for (no,) in self.found.get("born", _NOTHING)}
        for rows in (self.found.get("names", _NOTHING), self.found.get("calls", _NOTHING)):
            self.names.update({(owner, name): (run_id, no) for owner, name, run_id, no in rows})

    def flush(self) -> None:
        """Writes all rows but those of the journal."""
        write_rows(self.place, _RUN, self.runs)
        write_rows(self.place, _LABEL, self.labels)
        write_rows(self.place, _QUEUE, self.queued)

    def look_up(self, owner: str | int, name: str) -> tuple[str, int] | None:
        """None: all that there is was read into `names`."""

    def is_alive(self, worker: int) -> bool:
        return worker in self.alive

    def is_holder(self, scope: str, run_no: int) -> bool:
        return bool(self.place.fetch(_HOLDS, (scope, run_no)))

    def read_parent(self, run_no: int) -> int | None:
        found = self.place.fetch(_PARENT, (run_no,))
        return found[0][0] if found else None
