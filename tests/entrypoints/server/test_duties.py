import asyncio

from flowforge.entrypoints.server.duties import DomainDuty, DutyLoops
from flowforge.kit.telemetry.metrics import Metrics

_HOUR_MS = 3_600_000


class Passes:
    """Counts the passes of a duty; `until` waits for some."""

    def __init__(self) -> None:
        self.made = 0
        self._changed = asyncio.Condition()

    async def run_once(self) -> None:
        async with self._changed:
            self.made += 1
            self._changed.notify_all()

    async def until(self, made: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.made >= made)


async def test_a_duty_that_looks_at_rows_rests_while_nobody_commits():
    rows, time = Passes(), Passes()
    version = 7
    closed: list[int] = []

    async def close() -> None:
        closed.append(time.made)

    duties = [DomainDuty("rows", 1, rows.run_once, _HOUR_MS), DomainDuty("time", 1, time.run_once, close=close)]
    loops = DutyLoops(duties, Metrics(), lambda: True, lambda: version)
    loops.start()
    await time.until(5)
    assert rows.made == 1
    version = 8
    await rows.until(2)
    await time.until(time.made + 5)
    await loops.close()
    assert rows.made == 2
    assert closed == [time.made], "after the last pass"


async def test_a_duty_goes_on_where_commits_cannot_be_seen_and_after_its_longest_rest():
    unseen, rested = Passes(), Passes()
    blind = DutyLoops([DomainDuty("rows", 1, unseen.run_once, _HOUR_MS)], Metrics(), lambda: True)
    seeing = DutyLoops([DomainDuty("rows", 1, rested.run_once, 2)], Metrics(), lambda: True, lambda: 7)
    blind.start()
    seeing.start()
    await unseen.until(3)
    await rested.until(3)
    await blind.close()
    await seeing.close()
    assert min(unseen.made, rested.made) >= 3
