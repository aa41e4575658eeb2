"""Which of the waiting jobs go first: what the stores on a database share. Memory does the same over all it has."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from flowforge.engine.candidates import WorkspaceTurns, share_out
from flowforge.engine.queueing import rank

JobGroup: TypeAlias = tuple[str, int, str]
"""Workspace, priority, queue."""
JobRow: TypeAlias = Sequence[Any]
"""Begins with priority and `at`."""


class JobFinder(Protocol):
    """What a database is asked."""

    def list_groups(self, queues: Collection[str]) -> Iterable[JobGroup]:
        """The groups with waiting jobs, by hops from group to group, however many jobs they have."""
        ...

    def list_oldest(self, groups: Sequence[JobGroup], limit: int) -> Iterable[JobRow]:
        """At most `limit` waiting jobs of each group, the oldest first, kept for the caller's transaction."""
        ...


def choose_jobs(
    turns: WorkspaceTurns[JobGroup], finder: JobFinder, queues: Collection[str], limit: int, now: int
) -> list[JobRow]:
    """At most `limit` waiting jobs, workspaces in turn, beginning behind the one that was served last."""

    def best_of(groups: Sequence[JobGroup], most: int) -> list[JobRow]:
        return sorted(finder.list_oldest(groups, most), key=lambda row: rank(row[0], row[1], now))[:most]

    return turns.choose(limit, now, lambda: finder.list_groups(queues), lambda groups: share_out(groups, limit, best_of))


@dataclass(slots=True)
class AllJobTurns:
    """One for each set of queues that is asked for: a worker asks for heavy and light ones apart, and neither moves the other's turn."""

    by_queues: dict[frozenset[str], WorkspaceTurns[JobGroup]] = field(
        default_factory=dict[frozenset[str], WorkspaceTurns[JobGroup]]
    )

    def of(self, queues: Collection[str]) -> WorkspaceTurns[JobGroup]:
        """Those of these queues."""
        return self.by_queues.setdefault(frozenset(queues), WorkspaceTurns())
