"""New runs: what SQLite knows of earlier ones, and their rows. Plan: `dedup` and parent by their unique indexes."""

import sqlite3
from dataclasses import dataclass, field

from flowforge.engine.birth_rules import RUN_COLUMNS, BirthRules, RunSlots
from flowforge.engine.sqlite import run_slots
from flowforge.engine.sqlite.rows import write_rows

_BY_DEDUP = "SELECT id, no FROM runs WHERE workspace_id=? AND dedup=?"
_BY_PARENT = "SELECT id, no FROM runs WHERE parent_no=? AND parent_key=?"
_PARENT = "SELECT parent_no FROM runs WHERE no=?"
_HOLDS = "SELECT 1 FROM slots WHERE scope=? AND run_no=? AND key=''"
_IS_ALIVE = "SELECT 1 FROM workers WHERE no=? AND dead=0"
_RUN = f"INSERT INTO runs({RUN_COLUMNS})"
_LABEL = "INSERT INTO run_labels(run_no, key, workspace_id, value, started_at)"
_QUEUE = "INSERT INTO queue(run_no, workspace_id, suspect, priority, due_at, cause, since)"


@dataclass(slots=True)
class Births(BirthRules[sqlite3.Connection]):
    """See `BirthRules`. Each question is asked when it comes up: under the write lock that costs no round trip."""

    run_slots: RunSlots[sqlite3.Connection] = run_slots
    alive: dict[int, bool] = field(default_factory=dict[int, bool])

    def flush(self) -> None:
        """Writes all rows but those of the journal."""
        write_rows(self.place, _RUN, self.runs)
        write_rows(self.place, _LABEL, self.labels)
        write_rows(self.place, _QUEUE, self.queued)

    def look_up(self, owner: str | int, name: str) -> tuple[str, int] | None:
        return self.place.execute(_BY_DEDUP if isinstance(owner, str) else _BY_PARENT, (owner, name)).fetchone()

    def is_alive(self, worker: int) -> bool:
        if worker not in self.alive:
            self.alive[worker] = self.place.execute(_IS_ALIVE, (worker,)).fetchone() is not None
        return self.alive[worker]

    def is_holder(self, scope: str, run_no: int) -> bool:
        return self.place.execute(_HOLDS, (scope, run_no)).fetchone() is not None

    def read_parent(self, run_no: int) -> int | None:
        found = self.place.execute(_PARENT, (run_no,)).fetchone()
        return None if found is None else found[0]
