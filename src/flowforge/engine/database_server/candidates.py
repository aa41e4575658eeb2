"""Who may be claimed next: due rows that no other claim holds (SKIP LOCKED), locked for this one.

Plan: (workspace_id, suspect, priority, due_at), one range a group; no sort, no scan of those asleep.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from flowforge.engine.candidates import Candidate, Group
from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.rows import for_keys

_DUE = "SELECT run_no, suspect, priority, due_at, cause, scope, slot_limit, since FROM queue"
_OF_GROUP = "WHERE workspace_id=%s AND suspect=%s AND priority=%s AND due_at<=%s AND needs<=%s"
_OF_RUNS = f"{_DUE} WHERE run_no IN"
_FREE_ONES = "FOR UPDATE SKIP LOCKED"


@dataclass(frozen=True, slots=True)
class Finder:
    """See `RunFinder`."""

    session: Session

    def list_groups(self, now: int) -> list[Group]:
        return self.session.fetch(self.session.texts.due_groups, (now,))

    def list_oldest(self, groups: Sequence[Group], limit: int, form: int, now: int) -> Iterator[Candidate]:
        text = f"{_DUE} {_OF_GROUP} ORDER BY {self.session.texts.order_of_due} LIMIT %s {_FREE_ONES}"
        for rows in self.session.fetch_each([(text, (*group, now, form, limit)) for group in groups]):
            yield from (Candidate(*row) for row in rows)

    def list_among(self, run_nos: Collection[int], form: int, now: int) -> Iterator[Candidate]:
        rows = for_keys(self.session, _OF_RUNS, run_nos, f"AND due_at<=%s AND needs<=%s {_FREE_ONES}", behind=(now, form))
        return (Candidate(*row) for row in rows)
