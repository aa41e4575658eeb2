from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.clock import ManualClock

from flowforge.kit.database.clock import DatabaseClock
from flowforge.kit.database.reading import reading
from flowforge.kit.database.url import DatabaseUrl
from flowforge.kit.errors import InvariantError

DATABASE_MS = 5_000_000


class Machine:
    """A machine whose monotonic clock the test moves; `drift_ms`: how far the database is ahead of it."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.wall_ms = 0
        self.lead_ms = DATABASE_MS

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.now_s

    @property
    def database_ms(self) -> int:
        return int(self.now_s * 1000) + self.lead_ms

    def ask(self, there_s: float, back_s: float) -> int:
        """A reading that takes as long as this on its way."""
        self.now_s += there_s
        told = self.database_ms
        self.now_s += back_s
        return told


def test_clock_that_was_never_read_refuses():
    clock = DatabaseClock(Machine())
    assert not clock.is_set
    with pytest.raises(InvariantError, match="before it was read"):
        clock.now_ms()


def test_estimate_is_behind_by_the_way_back_and_never_ahead():
    machine = Machine()
    clock = DatabaseClock(machine)
    clock.sync(lambda: machine.ask(0.001, 0.3))
    assert machine.database_ms - 301 <= clock.now_ms() <= machine.database_ms
    machine.now_s += 60
    assert machine.database_ms - 301 <= clock.now_ms() <= machine.database_ms


def test_best_reading_is_kept():
    machine = Machine()
    clock = DatabaseClock(machine)
    clock.sync(lambda: machine.ask(0.0, 0.002))
    clock.sync(lambda: machine.ask(0.0, 0.9))
    assert machine.database_ms - 3 <= clock.now_ms() <= machine.database_ms
    clock.sync(lambda: machine.ask(0.5, 0.0))
    assert machine.database_ms - 1 <= clock.now_ms() <= machine.database_ms


def test_f42_jump_of_the_machines_clock_changes_nothing():
    machine = Machine()
    clock = DatabaseClock(machine)
    clock.sync(lambda: machine.ask(0.0, 0.0))
    before = clock.now_ms()
    machine.wall_ms += 3_600_000
    assert clock.now_ms() == before


def test_f42_databases_clock_that_goes_back_is_followed():
    machine = Machine()
    clock = DatabaseClock(machine)
    clock.sync(lambda: machine.ask(0.001, 0.001))
    machine.lead_ms -= 10_000
    clock.sync(lambda: machine.ask(0.001, 0.001))
    assert machine.database_ms - 3 <= clock.now_ms() <= machine.database_ms


def test_f42_databases_clock_that_goes_forward_is_followed():
    machine = Machine()
    clock = DatabaseClock(machine)
    clock.sync(lambda: machine.ask(0.001, 0.001))
    machine.lead_ms += 10_000
    clock.sync(lambda: machine.ask(0.001, 0.4))
    assert machine.database_ms - 403 <= clock.now_ms() <= machine.database_ms


def test_fault_of_the_reading_leaves_the_clock_as_it_was():
    clock = DatabaseClock(ManualClock())
    clock.sync(lambda: DATABASE_MS)

    def fail() -> int:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        clock.sync(fail)
    assert clock.now_ms() == DATABASE_MS


def test_threads_read_while_it_is_set():
    clock = DatabaseClock()
    clock.sync(lambda: DATABASE_MS)

    def read(_: int) -> int:
        return clock.sync(lambda: DATABASE_MS) - clock.now_ms()

    with ThreadPoolExecutor(4) as pool:
        assert all(ahead <= 0 for ahead in pool.map(read, range(200)))


def test_servers_tell_their_time(server: DatabaseUrl):
    clock = DatabaseClock()
    with reading(server) as reader:
        first = clock.sync(reader.read_time_ms)
        estimate = clock.now_ms()
        assert first <= estimate <= reader.read_time_ms() + 1
