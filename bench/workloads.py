"""The workloads on the engine. Each gives its figures in the units of the report."""

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from statistics import median
from typing import Final

from bench.documents import fan_out, nested_loops, sequence, sleeper
from bench.engine_adapter import WORKSPACE, EngineUnderTest, open_engine_under_test
from bench.full_store import prepare_full_store
from bench.operations import EFFECT, PURE
from bench.sizes import Sizes
from flowforge.kit.clock import SystemClock
from flowforge.kit.values import JsonValue
from flowforge.language.times import format_timestamp_ms

_MIB: Final = 2**20
_STARTS_AT_ONCE: Final = 200
_W5_START_ALLOWANCE_MS: Final = 2
"""Per sleeper, in milliseconds: all must be asleep before the first one is due."""
_W5_ALLOWANCES_MS: Final = (3_000, 12_000, 48_000)
"""On top of that, one after another where it was not enough."""


async def measure_s(work: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def measure_sequence_ms(engine: EngineUnderTest, steps: int, *, is_pure: bool = False) -> float:
    """W1, W1p: one run of `steps` steps, from the start to its end."""
    workflow = engine.define(sequence("pure" if is_pure else "durable", steps, PURE if is_pure else EFFECT))

    async def run() -> None:
        await engine.finish(await engine.start(workflow))

    return await measure_s(run()) * 1_000


async def measure_many(engine: EngineUnderTest, runs: int, steps: int) -> float:
    """W2: steps per second of `runs` runs at once."""
    workflow = engine.define(sequence("durable", steps, EFFECT))

    async def run() -> None:
        await engine.finish_all(await asyncio.gather(*(engine.start(workflow) for _ in range(runs))))

    return runs * steps / await measure_s(run())


async def measure_fan_out_ms(engine: EngineUnderTest, items: int) -> float:
    """W4: one foreach, everything at once, joined."""
    workflow = engine.define(fan_out(items))
    value: JsonValue = {"items": [*range(items)]}

    async def run() -> None:
        await engine.finish(await engine.start(workflow, value))

    return await measure_s(run()) * 1_000


async def measure_sleepers(engine: EngineUnderTest, sleepers: int) -> tuple[float, float]:
    """W5: KiB of memory for each run asleep, and seconds from the time at which all fall due until all have ended."""
    workflow = engine.define(sleeper())
    await _start_sleepers(engine, workflow["digest"], min(200, sleepers), 0)  # what grows once is not a sleeper's
    gc.collect()
    before_bytes = resident_bytes(os.getpid())
    for allowance_ms in _W5_ALLOWANCES_MS:
        due_ms = SystemClock().now_ms() + allowance_ms + sleepers * _W5_START_ALLOWANCE_MS
        run_nos = await _start_sleepers(engine, workflow["digest"], sleepers, due_ms)
        await asyncio.sleep(1.0)
        gc.collect()
        kib = max(0, resident_bytes(os.getpid()) - before_bytes) / 1024 / sleepers
        if SystemClock().now_ms() < due_ms:
            break
        await engine.finish_all(run_nos)
    else:
        raise SystemExit("W5: the sleepers were not asleep before they were due; the machine is too slow for this bench.")
    await asyncio.sleep((due_ms - SystemClock().now_ms()) / 1_000)
    return kib, await measure_s(engine.finish_all(run_nos))


async def _start_sleepers(engine: EngineUnderTest, digest: str, count: int, due_ms: int) -> list[int]:
    workflow = engine.define(sleeper())
    assert workflow["digest"] == digest
    value: JsonValue = {"until": format_timestamp_ms(due_ms)}
    run_nos: list[int] = []
    for first in range(0, count, _STARTS_AT_ONCE):
        amount = min(_STARTS_AT_ONCE, count - first)
        run_nos += await asyncio.gather(*(engine.start(workflow, value) for _ in range(amount)))
    return run_nos


def measure_fresh_process(folder: Path) -> tuple[float, float]:
    """W6: MiB resident of an idle process, and seconds from its exec to its first committed run."""
    command = [sys.executable, "-m", "bench.fresh_process", folder]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline().strip() != "committed":
            raise SystemExit("W6: the fresh process ended early; its message stands above.")
        took_s = time.perf_counter() - begun
        mib = resident_bytes(process.pid) / _MIB
        process.stdin.close()
        process.wait(timeout=60)
    return mib, took_s


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now (Linux)."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def measure_long_run(engine: EngineUnderTest, outer: int, inner: int) -> float:
    """W7: cost of a step in the last tenth of a long run ÷ in its first tenth, by the journal's times."""
    workflow = engine.define(nested_loops())
    run_no = await engine.start(workflow, {"outer": [*range(outer)], "inner": [*range(inner)]})
    await engine.finish(run_no)
    times = engine.journal_times(run_no)
    steps = times[-1][1]
    tenth = steps // 10
    return _cost(times, steps - tenth, steps) / max(_cost(times, 0, tenth), 1e-9)


def _cost(times: list[tuple[int, int]], first: int, last: int) -> float:
    """Milliseconds for each step between two counts of completed steps."""
    inside = [(at, steps) for at, steps in times if first <= steps <= last]
    (began, steps_before), (ended, steps_after) = inside[0], inside[-1]
    return (ended - began) / max(1, steps_after - steps_before)


async def measure_start_ms(engine: EngineUnderTest, probes: int) -> float:
    """p50 of a start, one after the other, each awaited to its end before the next."""
    workflow = engine.define(sequence("probe", 1, EFFECT))
    took: list[float] = []
    for _ in range(probes):
        begun = time.perf_counter()
        run_no = await engine.start(workflow)
        took.append(time.perf_counter() - begun)
        await engine.finish(run_no)
    return median(took) * 1_000


async def measure_full_store(folder: Path, sizes: Sizes) -> tuple[float, float]:
    """W7: start in a full store ÷ start in an empty one (both p50), and ms of the list of runs in the full one (p50)."""
    async with open_engine_under_test(folder / "empty-store") as engine:
        empty_ms = await measure_start_ms(engine, sizes.w7_probes)
    async with open_engine_under_test(prepare_full_store(folder, sizes.w7_store_runs)) as engine:
        full_ms = await measure_start_ms(engine, sizes.w7_probes)
        list_ms = await _measure_list_ms(engine, sizes.w7_probes)
    return full_ms / empty_ms, list_ms


async def _measure_list_ms(engine: EngineUnderTest, probes: int) -> float:
    # The reading side stands on SQLAlchemy, which the workloads before must not carry in their memory.
    from flowforge.runs.service import RunFilter, list_runs

    async def look() -> None:
        async with engine.installation.database.read() as session:
            page = await list_runs(session, WORKSPACE, RunFilter(statuses=["completed"]))
        assert page.items

    await look()
    return median([await measure_s(look()) for _ in range(probes)]) * 1_000
