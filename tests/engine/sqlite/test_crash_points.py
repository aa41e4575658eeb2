"""A process that dies at any crash point of the store leaves a sound file, and the next one brings every run to its end."""

from pathlib import Path

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, Shop, check_sound, do_everything, open_sqlite, read_runs, read_slots, reopen_sqlite

from flowforge.engine.store import FAR_FUTURE_MS, NewMail, Store
from flowforge.kit.crashpoint import crash_hook

POINTS = 36
"""More than there are: beyond the last one nothing is killed."""


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def run_until(shop: Shop, place: int) -> str | None:
    """Does everything, but dies at the crash point with that number. Returns its name, None if there are not so many."""
    reached: list[str] = []

    def kill(name: str) -> None:
        reached.append(name)
        if len(reached) == place:
            raise Killed

    try:
        with crash_hook(kill):
            do_everything(shop)
    except Killed:
        return reached[-1]
    return None


def heal(shop: Shop, store: Store) -> None:
    for _ in range(20):
        for one in shop.claim(limit=5):
            shop.commit(shop.ending(one.run_no, one.rows[-1].seq + 1, one.epoch, one.mail))
        asleep = [run.no for run in read_runs(store).values() if run.due_at == FAR_FUTURE_MS]
        store.deliver([NewMail(no, "cancel", b"{}", "user") for no in asleep])


@pytest.mark.parametrize("place", range(1, POINTS + 1))
def test_f22_death_at_a_crash_point_leaves_nothing_half_done(template: Path, tmp_path: Path, clock: ManualClock, place: int):
    first = open_sqlite(template, tmp_path / "store.db", clock)
    name = run_until(Shop(first, clock, first.register("first", EXPIRY_MS)), place)
    first.close()
    second = reopen_sqlite(tmp_path / "store.db", clock)
    second.expire(list(second.alive()))
    check_sound(second)
    shop = Shop(second, clock, second.register("second", EXPIRY_MS))
    second.match()
    heal(shop, second)
    check_sound(second)
    assert all(run.is_finished for run in read_runs(second).values()), name
    assert read_slots(second) == {}
    second.close()
