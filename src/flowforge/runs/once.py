"""Starting once: the same request, however often it comes within a day, gives the same run.

The name under which a run is unique (`dedup`) is stored in the start's own transaction, so that it is used up if and only if the run
exists. A run keeps its name for ever; where the one that is found began more than a day ago, the start takes a further name behind it.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final, cast

from flowforge.engine.births import StartRequest
from flowforge.engine.executor.engine import Started
from flowforge.engine.store import Verdict
from flowforge.kit.border import decode
from flowforge.kit.database.session import Sessions
from flowforge.kit.errors import ConflictError, Detail, InvariantError, RequestError
from flowforge.kit.values import JsonObject
from flowforge.runs.start_repository import FirstRow, find_by_name, find_first_row
from flowforge.runs.starting import Starter

REPEATED_WITHIN_MS: Final = 86_400_000
KEY_FIELD: Final = "Idempotency-Key"
DIGEST_FIELD: Final = "digest"
"""Of a run's `trigger`: the digest of the body that it was started with."""


class IdempotencyMismatchError(ConflictError):
    """The key was used before, with another body."""

    code: ClassVar[str] = "IDEMPOTENCY_MISMATCH"

    def __init__(self, field: str = KEY_FIELD, first: str | None = None) -> None:
        """`first`: the run or event that the other request made."""
        made = "" if first is None else f", which made {first}"
        message = f"This key was used for another request{made}; send a new key with a new request."
        super().__init__(message, [Detail(field, message, "idempotency_mismatch")])


@dataclass(frozen=True, slots=True)
class Once:
    """What makes two requests the same one: `kind` (start, hook), `scope` (the route, the trigger), and the sender's `key`.

    `digest`: of the body, by which a key that is used for something else is found out. `field`: the header or field that the key came in.
    """

    kind: str
    scope: str
    key: str
    digest: str
    field: str = KEY_FIELD

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.scope}:{self.key}"


@dataclass(frozen=True, slots=True)
class OnceStarted:
    """`is_repeat`: the run was there before."""

    started: Started
    is_repeat: bool


async def start_once(
    runner: Starter, sessions: Sessions, request: StartRequest, once: Once | None, *, now_ms: int
) -> OnceStarted:
    """Starts a run, or finds the one that this request has started already. `once` None: always a new one. `sessions`: to read with.

    Raises:
        IdempotencyMismatchError: the key was used with another body within a day.
        ValidationError, NotInstalledError, StartRejectedError, OverloadedError: as `Runner.start`; the key is not used up.
    """
    if once is None:
        return OnceStarted(await runner.start(request), is_repeat=False)
    name = once.name
    marked = replace(request, trigger={**request.trigger, DIGEST_FIELD: once.digest})
    while True:
        try:
            started = await runner.start(replace(marked, dedup=name))
        except RequestError:
            # What is refused now may have been taken the first time: then the run is the answer.
            found = await find_repeated(sessions, request.workspace_id, once, now_ms=now_ms)
            if found is None:
                raise
            return OnceStarted(found, is_repeat=True)
        if started.verdict is not Verdict.DUPLICATE:
            return OnceStarted(started, is_repeat=False)
        first = await _read_first_row(sessions, request.workspace_id, started.run_no)
        if _is_fresh(first, now_ms):
            _check_digest(first, once)
            return OnceStarted(started, is_repeat=True)
        name = f"{once.name}@{first.run_id}"


async def find_repeated(sessions: Sessions, workspace_id: str, once: Once, *, now_ms: int) -> Started | None:
    """The run that this request has started before, within a day. A repeat gets it also where the workflow takes no runs any more.

    Raises:
        IdempotencyMismatchError: as `start_once`.
    """
    name = once.name
    async with sessions() as session:
        while (run_no := await find_by_name(session, workspace_id, name)) is not None:
            first = await find_first_row(session, workspace_id, run_no)
            if first is None:
                return None
            if _is_fresh(first, now_ms):
                _check_digest(first, once)
                return Started(first.run_id, first.run_no, Verdict.DUPLICATE)
            name = f"{once.name}@{first.run_id}"
    return None


async def _read_first_row(sessions: Sessions, workspace_id: str, run_no: int) -> FirstRow:
    async with sessions() as session:
        first = await find_first_row(session, workspace_id, run_no)
    if first is None:
        raise InvariantError("A run that has this key is not in the database.")
    return first


def _is_fresh(first: FirstRow, now_ms: int) -> bool:
    return now_ms - first.started_at_ms < REPEATED_WITHIN_MS


def _check_digest(first: FirstRow, once: Once) -> None:
    events = cast("list[JsonObject]", decode(first.body))
    trigger = cast("JsonObject", events[0]["trigger"])
    if trigger.get(DIGEST_FIELD) != once.digest:
        raise IdempotencyMismatchError(once.field, first.run_id)
