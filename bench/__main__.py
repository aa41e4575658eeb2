"""`python -m bench`: measures the engine, the floor and the peer in turns, prints the table, writes the page.

`--quick` makes everything tiny: whether the bench works, not how fast the engine is. `--only W1,W4` leaves the rest out.
"""

import argparse
import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bench import cluster, server, servers, workloads
from bench.data import measure_calls, measure_large_csv
from bench.engine_adapter import EngineUnderTest, open_engine_under_test
from bench.floor import Floor, open_floor
from bench.guard import measure_guard_us
from bench.peer import PeerProcess, open_peer
from bench.report import Results, Subject, render_table, write_page
from bench.scripts import LANGUAGES, measure_cold_script_ms, measure_warm_script_ms
from bench.sizes import QUICK, Sizes
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import parse_database_url

ROOT: Final = Path(__file__).parents[1]
ALL: Final = ("W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9")


@dataclass(frozen=True, slots=True)
class Session:
    """One session of measuring: everything that takes turns."""

    sizes: Sizes
    results: Results
    engine: EngineUnderTest
    floor: Floor
    peer: PeerProcess | None
    folder: Path
    peer_python: Path | None
    postgres: str

    async def ask_peer(self, figure: str, workload: str, *numbers: int, convert: Callable[[float], float]) -> None:
        """One round of the peer, off the loop: the engine's heart must beat meanwhile."""
        if self.peer is not None:
            seconds = await asyncio.to_thread(self.peer.measure_s, workload, *numbers)
            self.results.add(f"{figure} {workload}", Subject.PEER, convert(seconds))


def to_ms(seconds: float) -> float:
    return seconds * 1_000


async def run_w1(session: Session) -> None:
    steps, results = session.sizes.w1_steps, session.results
    for number in range(session.sizes.w1_rounds):
        results.add("W1", Subject.FLOOR, to_ms(session.floor.measure_sequence_s(steps)))
        results.add("W1", Subject.ENGINE, await workloads.measure_sequence_ms(session.engine, steps))
        results.add("W1p", Subject.ENGINE, await workloads.measure_sequence_ms(session.engine, steps, is_pure=True))
        if number < session.sizes.peer_rounds:
            await session.ask_peer("W1", "w1", steps, convert=to_ms)
            await session.ask_peer("W1", "w1_async", steps, convert=to_ms)
    results.choose_peer("W1", ("w1", "w1_async"), is_rate=False)


async def run_w2(session: Session) -> None:
    sizes, results = session.sizes, session.results
    peer_steps = sizes.w2_peer_runs * sizes.w2_steps
    for _ in range(sizes.w2_rounds):
        results.add(
            "W2", Subject.FLOOR, sizes.w2_runs * sizes.w2_steps / session.floor.measure_many_s(sizes.w2_runs, sizes.w2_steps)
        )
        results.add("W2", Subject.ENGINE, await workloads.measure_many(session.engine, sizes.w2_runs, sizes.w2_steps))
        for workload in ("w2", "w2_async"):
            await session.ask_peer(
                "W2", workload, sizes.w2_peer_runs, sizes.w2_steps, convert=lambda seconds: peer_steps / seconds
            )
    results.choose_peer("W2", ("w2", "w2_async"), is_rate=True)


async def run_w3(session: Session) -> None:
    """Servers in processes of their own, the clients in a third one."""
    await asyncio.to_thread(_run_servers, session)


def _run_servers(session: Session) -> None:
    for _ in range(session.sizes.w3_rounds):
        with server.open_ours(session.folder / "server") as ours:
            _measure_server(session, ours, Subject.ENGINE, share=1)
        if session.peer_python is not None:
            with server.open_peer_server(session.peer_python, session.folder / "peer-http") as peer:
                _measure_server(session, peer, Subject.PEER, share=session.sizes.w3_peer_share)
            shutil.rmtree(session.folder / "peer-http")


def _measure_server(session: Session, opened: server.Server, subject: Subject, *, share: int) -> None:
    """`share`: the peer makes so many times fewer requests; its figures are rates and medians."""
    sizes, results = session.sizes, session.results
    alone = server.measure(opened, "?wait=30s", connections=1, count=max(sizes.w3_alone // share, 1))
    many = server.measure(opened, "?wait=30s", connections=sizes.w3_clients, count=max(sizes.w3_many // share, sizes.w3_clients))
    accepted = server.measure(opened, "", connections=sizes.w3_clients, count=max(sizes.w3_many // share, sizes.w3_clients))
    results.add("W3", subject, alone.p50_ms)
    results.add("W3 p99", subject, alone.p99_ms)
    results.add("W3 many", subject, many.per_s)
    results.add("W3 accepted", subject, accepted.per_s)


async def run_w4(session: Session) -> None:
    items, results = session.sizes.w4_items, session.results
    for number in range(session.sizes.w4_rounds):
        results.add("W4", Subject.FLOOR, to_ms(session.floor.measure_fan_out_s(items)))
        results.add("W4", Subject.ENGINE, await workloads.measure_fan_out_ms(session.engine, items))
        if number < session.sizes.peer_rounds:
            await session.ask_peer("W4", "w4_async", items, convert=to_ms)
    results.choose_peer("W4", ("w4_async",), is_rate=False)


async def run_w5(session: Session) -> None:
    kib, seconds = await workloads.measure_sleepers(session.engine, session.sizes.w5_sleepers)
    session.results.add("W5 memory", Subject.ENGINE, kib)
    session.results.add("W5 wake", Subject.ENGINE, seconds)


async def run_w6(session: Session) -> None:
    folder = session.folder / "fresh"
    await asyncio.to_thread(workloads.measure_fresh_process, folder)  # makes the data folder, which is no part of the figure
    for _ in range(session.sizes.w6_rounds):
        mib, seconds = await asyncio.to_thread(workloads.measure_fresh_process, folder)
        session.results.add("W6 memory", Subject.ENGINE, mib)
        session.results.add("W6 start", Subject.ENGINE, seconds)
    folder = session.folder / "up"
    await asyncio.to_thread(server.measure_up, folder)  # as above
    for _ in range(session.sizes.w6_rounds):
        mib, seconds = await asyncio.to_thread(server.measure_up, folder)
        session.results.add("W6 server memory", Subject.ENGINE, mib)
        session.results.add("W6 server start", Subject.ENGINE, seconds)


async def run_w7(session: Session) -> None:
    sizes, results = session.sizes, session.results
    results.add("W7 steps", Subject.ENGINE, await workloads.measure_long_run(session.engine, sizes.w7_outer, sizes.w7_inner))
    ratio, list_ms = await workloads.measure_full_store(session.folder, sizes)
    results.add("W7 start", Subject.ENGINE, ratio)
    results.add("W7 list", Subject.ENGINE, list_ms)


async def run_w8(session: Session) -> None:
    """Everything on PostgreSQL; the peer too, in a process of its own."""
    if not servers.has_postgres(session.postgres):
        print("W8 is left out: no PostgreSQL answers (--postgres).", file=sys.stderr)
        return
    await _run_alone(session)
    with servers.open_broker() as broker, servers.open_database(session.postgres) as database:
        await asyncio.to_thread(_run_cluster, session, database, broker)


async def _run_alone(session: Session) -> None:
    with ExitStack() as stack:
        database = stack.enter_context(servers.open_database(session.postgres))
        peer = None
        if session.peer_python is not None:
            own = stack.enter_context(servers.open_database(session.postgres))
            peer = stack.enter_context(open_peer(session.peer_python, session.folder / "peer", own))
        upgrade_database(parse_database_url(database))
        async with open_engine_under_test(session.folder / "engine-postgres", database) as engine:
            await _take_turns(session, engine, peer)


async def _take_turns(session: Session, engine: EngineUnderTest, peer: PeerProcess | None) -> None:
    sizes, results = session.sizes, session.results
    for _ in range(sizes.w1_rounds):
        results.add("W1 PostgreSQL", Subject.ENGINE, await workloads.measure_sequence_ms(engine, sizes.w1_steps))
    for _ in range(sizes.w2_rounds):
        results.add("W2 PostgreSQL", Subject.ENGINE, await workloads.measure_many(engine, sizes.w2_runs, sizes.w2_steps))
        if peer is not None:
            await asyncio.to_thread(_ask_peer_on_postgres, session, peer)
    results.choose_peer("W1 PostgreSQL", ("w1", "w1_async"), is_rate=False)
    results.choose_peer("W2 PostgreSQL", ("w2", "w2_async"), is_rate=True)


def _ask_peer_on_postgres(session: Session, peer: PeerProcess) -> None:
    sizes = session.sizes
    for way in ("w1", "w1_async"):
        session.results.add(f"W1 PostgreSQL {way}", Subject.PEER, to_ms(peer.measure_s(way, sizes.w1_steps)))
    for way in ("w2", "w2_async"):
        rate = sizes.w2_peer_runs * sizes.w2_steps / peer.measure_s(way, sizes.w2_peer_runs, sizes.w2_steps)
        session.results.add(f"W2 PostgreSQL {way}", Subject.PEER, rate)


def _run_cluster(session: Session, database: str, broker: str) -> None:
    sizes, results = session.sizes, session.results
    with cluster.open_cluster(session.folder / "cluster", database, broker) as open_cluster:
        for _ in range(sizes.w8_rounds):
            for workers in sizes.w8_workers:
                measured = cluster.measure_throughput(open_cluster, workers, sizes.w2_runs, sizes.w2_steps)
                results.add(f"W8, {workers}", Subject.ENGINE, measured.steps_per_s)
                results.add(f"W8 CPU, {workers}", Subject.ENGINE, measured.cpu_us)
        results.add("W8 ring", Subject.ENGINE, cluster.measure_latency_ms(open_cluster, sizes.w8_probes))
        results.add("W8 take-over", Subject.ENGINE, cluster.measure_take_over_s(open_cluster, sizes.w8_hanging))
        few = max(sizes.w8_queued // 100, 250)
        results.add("W8 claim", Subject.ENGINE, cluster.measure_claims(open_cluster, few, sizes.w8_queued))
    for workers in sizes.w8_workers:
        results.share_peer("W2 PostgreSQL", f"W8, {workers}")


async def run_w9(session: Session) -> None:
    sizes, results = session.sizes, session.results
    for cost in await asyncio.to_thread(measure_calls, sizes.w9_rounds):
        results.add(f"W9 {cost.name}", Subject.ENGINE, cost.operation_ms)
        results.add(f"W9 {cost.name}", Subject.FLOOR, cost.library_ms)
    large = await asyncio.to_thread(measure_large_csv, session.folder / "large", sizes.w9_csv_mib)
    results.add("W9 large csv memory", Subject.ENGINE, large.peak_mib)
    results.add("W9 large csv time", Subject.ENGINE, large.seconds)
    for language in LANGUAGES:
        results.add(f"W9 {language}", Subject.ENGINE, await measure_warm_script_ms(language, sizes.w9_probes))
        results.add(f"W9 {language} cold", Subject.ENGINE, await measure_cold_script_ms(language, max(sizes.w9_probes // 30, 1)))
    results.add("W9 guard", Subject.ENGINE, await measure_guard_us(max(sizes.w9_probes // 6, 1)))


RUNNERS: Final = {
    "W1": run_w1,
    "W2": run_w2,
    "W3": run_w3,
    "W4": run_w4,
    "W5": run_w5,
    "W6": run_w6,
    "W7": run_w7,
    "W8": run_w8,
    "W9": run_w9,
}


_FOLDERS: Final = (
    *("engine", "engine-postgres", "floor", "peer", "fresh", "empty-store", "large", "cluster"),
    *("server", "peer-http"),
)


@asynccontextmanager
async def open_session(folder: Path, sizes: Sizes, peer_python: Path | None, postgres: str) -> AsyncGenerator[Session]:
    for name in (
        "engine",
        "engine-postgres",
        "floor",
        "peer",
        "fresh",
        "empty-store",
        "large",
        "cluster",
        "server",
        "server-again",
        "peer-http",
    ):
        shutil.rmtree(folder / name, ignore_errors=True)
    with ExitStack() as stack:
        floor = stack.enter_context(open_floor(folder / "floor"))
        peer = None if peer_python is None else stack.enter_context(open_peer(peer_python, folder / "peer"))
        async with open_engine_under_test(folder / "engine") as engine:
            yield Session(sizes, Results(), engine, floor, peer, folder, peer_python, postgres)


def find_peer_python(folder: Path) -> Path | None:
    """The Python of the peer's environment: its own under the bench's folder, or ours where the peer is installed beside us."""
    own = folder / "peer-venv" / "bin" / "python"
    if own.exists():
        return own
    return Path(sys.executable) if find_spec("dbos") is not None else None


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does the bench work?")
    parser.add_argument("--only", default=",".join(ALL), help="workloads, by comma")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench", help="where the databases lie")
    parser.add_argument("--peer-python", type=Path, help="Python of an environment with DBOS")
    parser.add_argument("--postgres", default=servers.POSTGRES, help="a PostgreSQL where databases may be made, for W8")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md", help="the page to write")
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace) -> None:
    sizes = QUICK if options.quick else Sizes()
    wanted = options.only.split(",")
    peer_python = options.peer_python or find_peer_python(options.folder)
    options.folder.mkdir(parents=True, exist_ok=True)
    async with open_session(options.folder, sizes, peer_python, options.postgres) as session:
        for name in wanted:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            await RUNNERS[name](session)
    numbers = {**asdict(sizes), "w7_steps": sizes.w7_outer * sizes.w7_inner}
    table = render_table(session.results, numbers)
    print(table)
    notes = ROOT / "bench" / "notes.md"
    write_page(
        options.output,
        table,
        folder=options.folder,
        versions=list_versions(session),
        remarks=list_remarks(sizes, has_peer=session.peer is not None),
        notes=notes.read_text(encoding="utf-8") if notes.exists() else "",
    )


def list_versions(session: Session) -> dict[str, str]:
    versions: dict[str, str] = {}
    if servers.has_postgres(session.postgres):
        versions["PostgreSQL"] = servers.read_version(session.postgres)
    if session.peer is not None:
        versions["DBOS"] = (
            f"{session.peer.versions['dbos']} on SQLite {session.peer.versions['sqlite']}, and on PostgreSQL for W8"
        )
    return versions


def list_remarks(sizes: Sizes, *, has_peer: bool) -> list[str]:
    if not has_peer:
        return ["DBOS was not installed, so nothing was measured beside the engine but the floor."]
    return [
        f"W1, W4: median of {sizes.w1_rounds} and {sizes.w4_rounds} rounds, of DBOS {sizes.peer_rounds}.",
        f"W2: DBOS ran {sizes.w2_peer_runs} runs of {sizes.w2_steps} steps instead of {sizes.w2_runs}; the figure is a rate.",
        "DBOS: its steps return at once too; W1 and W2 in threads and as coroutines, the better one counts; W4 as coroutines.",
        "W8: each worker is a process (`flowforge worker`), the runs are queued by another; two cores carry all of it and the servers.",
    ]


if __name__ == "__main__":
    asyncio.run(run(parse_arguments(sys.argv[1:])))
