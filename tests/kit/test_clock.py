import time

from tests.support.clock import ManualClock

from flowforge.kit.clock import Clock, SystemClock


def test_system_clock_reads_the_machines_clocks():
    clock: Clock = SystemClock()
    before_ms, before_s = time.time_ns() // 1_000_000, time.monotonic()
    assert before_ms <= clock.now_ms() <= time.time_ns() // 1_000_000
    assert before_s <= clock.monotonic_s() <= time.monotonic()


def test_manual_clock_moves_only_when_it_is_told():
    clock: Clock = ManualClock(now_ms=1_000)
    assert (clock.now_ms(), clock.monotonic_s()) == (1_000, 0.0)


def test_manual_clocks_wall_time_can_go_back_alone():
    clock = ManualClock(now_ms=1_000)
    clock.advance(500)
    clock.set_wall(10)
    assert (clock.now_ms(), clock.monotonic_s()) == (10, 0.5)
