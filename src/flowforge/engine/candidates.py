"""Who of the due runs goes first, and whose turn it is: what the stores on a database share."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from flowforge.engine.queueing import CLAIM_MOST, rank, take_in_turn
from flowforge.engine.store import ClaimRequest

_GROUPS_KEPT_MS: Final = 1_000

Group: TypeAlias = tuple[str, int, int]
"""Workspace, suspect, priority."""
T = TypeVar("T")
OfWorkspace = TypeVar("OfWorkspace", bound=tuple[str, int, int | str])
"""A group: the workspace first."""
BestOf: TypeAlias = Callable[[Sequence[OfWorkspace], int], list[T]]
"""Takes groups of one workspace; gives so many of their due rows at most, the best first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the queue that is due."""

    run_no: int
    suspect: int
    priority: int
    due_at: int
    cause: str
    scope: str | None
    slot_limit: int | None
    since: int


class RunFinder(Protocol):
    """What a database is asked. `form`: the newest format of events that the worker knows; runs that need a later one are left out."""

    def list_groups(self, now: int) -> Iterable[Group]:
        """The groups with due rows, by hops from group to group, however many rows they have."""
        ...

    def list_oldest(self, groups: Sequence[Group], limit: int, form: int, now: int) -> Iterable[Candidate]:
        """At most `limit` due rows of each group, the oldest first, kept for the caller's transaction."""
        ...

    def list_among(self, run_nos: Collection[int], form: int, now: int) -> Iterable[Candidate]:
        """The due ones of these runs, kept likewise."""
        ...


@dataclass(slots=True)
class WorkspaceTurns(Generic[OfWorkspace]):
    """What a store remembers from claim to claim: whose turn it is."""

    groups: list[OfWorkspace] = field(default_factory=list[OfWorkspace])
    read_at: int = -_GROUPS_KEPT_MS
    served: str = ""
    """The workspace that was served last."""

    def choose(
        self, limit: int, now: int, read: Callable[[], Iterable[OfWorkspace]], find: Callable[[list[OfWorkspace]], list[T]]
    ) -> list[T]:
        """What is found in the groups, beginning behind the workspace served last; they are read anew where that is not enough."""
        is_fresh = not 0 <= now - self.read_at < _GROUPS_KEPT_MS
        if is_fresh:
            self._refresh(read, now)
        found = find(self._list_in_turn())
        if len(found) < limit and not is_fresh:
            self._refresh(read, now)
            found = find(self._list_in_turn())
        return found

    def _refresh(self, read: Callable[[], Iterable[OfWorkspace]], now: int) -> None:
        self.groups = sorted(read())
        self.read_at = now

    def _list_in_turn(self) -> list[OfWorkspace]:
        after = [group for group in self.groups if group[0] > self.served]
        return [*after, *(group for group in self.groups if group[0] <= self.served)]


def choose_runs(turns: WorkspaceTurns[Group], finder: RunFinder, request: ClaimRequest, now: int) -> list[Candidate]:
    """The best due rows, at most `suspects` of them with crashes behind."""
    limit, form = min(request.limit, CLAIM_MOST), request.format
    if limit <= 0:
        return []
    if request.only is not None:
        found = finder.list_among(request.only, form, now) if request.only else ()
        return limit_suspects(put_best_first(found, now), limit, request.suspects)

    def best_of(groups: Sequence[Group], most: int) -> list[Candidate]:
        return put_best_first(finder.list_oldest(groups, most, form, now), now)[:most]

    def find(groups: list[Group]) -> list[Candidate]:
        doubtful = share_out([group for group in groups if group[1]], min(limit, request.suspects), best_of)
        clear = share_out([group for group in groups if not group[1]], limit - len(doubtful), best_of)
        return [*doubtful, *clear]

    return turns.choose(limit, now, lambda: finder.list_groups(now), find)


def put_best_first(found: Iterable[Candidate], now: int) -> list[Candidate]:
    """The rows of one workspace, in the order in which they go."""
    return sorted(found, key=lambda one: (*rank(one.priority, one.due_at, now), one.run_no))


def limit_suspects(found: Sequence[Candidate], limit: int, suspects: int) -> list[Candidate]:
    """At most `limit` of the rows, `suspects` of them with crashes behind, which go first."""
    doubtful = [one for one in found if one.suspect][:suspects]
    return [*doubtful, *(one for one in found if not one.suspect)][:limit]


def share_out(groups: Sequence[OfWorkspace], limit: int, best_of: BestOf[OfWorkspace, T]) -> list[T]:
    """At most `limit` due rows, workspaces in the order of the groups in turn, the best of each first."""
    workspaces = [list(members) for _, members in groupby(groups, key=lambda group: group[0])]
    if not workspaces or limit <= 0:
        return []
    share = -(-limit // len(workspaces))
    found: list[list[T]] = []
    for members in workspaces:
        found.append(best_of(members, share))
        if sum(map(bool, found)) >= limit:
            break
    else:
        # Some workspaces have less than their share: the others may fill it.
        for place, members in enumerate(workspaces):
            if len(found[place]) == share:
                found[place] = best_of(members, limit)
    return take_in_turn(found, limit)
