"""A signal to every run of a workspace that waits for it: stored with its record as a named event, then handed to the runs."""

from dataclasses import dataclass
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.engine.store import NewEvent
from flowforge.kit.crashpoint import crashpoint
from flowforge.runs import repository
from flowforge.runs.kept_answers import Asked, set_answer, take_up
from flowforge.runs.ports import RunGround
from flowforge.web.calls import Call


@dataclass(frozen=True, slots=True)
class Broadcast:
    """`reached`: how many runs waited for it. `is_repeat`: it had been answered before."""

    reached: int
    is_repeat: bool


async def tell_all(call: Call, event: NewEvent, asked: Asked | None) -> Broadcast:
    """Stores the event and hands it to the runs that wait for it; with `asked` once, however often that comes within a day.

    When it returns, the event is stored: a run that begins to wait within a day gets it too.

    Raises:
        IdempotencyMismatchError: another signal was sent with the same key.
    """

    async def begin(session: AsyncSession) -> int:
        await record(session, call, "signal.sent", "signal", event.name, after={"name": event.name, "key": event.correlation})
        return await repository.insert_event(session, call.workspace_id, event)

    if asked is None:
        async with call.change() as session:
            number = await begin(session)
        return Broadcast(await _deliver(call, number), is_repeat=False)
    kept = await take_up(call, asked, begin)
    if kept.answer is not None:
        return Broadcast(cast("int", kept.answer["reached"]), is_repeat=True)
    reached = await _deliver(call, cast("int", kept.event_no))
    async with call.change() as session:
        await set_answer(session, asked, {"reached": reached})
    return Broadcast(reached, is_repeat=not kept.is_new)


async def _deliver(call: Call, number: int) -> int:
    crashpoint("CP29")
    return await call.port(RunGround).deliver_event(number)
