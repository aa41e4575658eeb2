"""From measurements to a table: medians, ratios, bars met or missed, and the page docs/benchmarks.md."""

import os
import platform
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Final

from flowforge import __version__
from flowforge.kit.clock import SystemClock
from flowforge.language.times import format_timestamp_ms

_PREFACE: Final = (
    "Written by `make bench`; change the bench, not this page. All columns were measured in one session on one machine, in turns.\n"
    "Engine and floor run on SQLite with a WAL and `synchronous=FULL`, or on PostgreSQL with `fsync` and `synchronous_commit` on where it\n"
    "says so; so does DBOS, in its better setting of threads and coroutines.\n"
    "A durable step is committed and synced before the next effect begins. Values are medians; an absolute time from another hour or\n"
    "machine means nothing beside them, the ratios do."
)


class Subject(StrEnum):
    ENGINE = "engine"
    FLOOR = "floor"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a workload, with its bars. `is_rate`: more is better, and `bar` is the least; else the most that is allowed.

    `floor_ratio`: at most so many times the floor. `peer_ratio`: at least so many times ahead of the peer.
    """

    name: str
    what: str
    unit: str
    steps: str
    bar: float | None = None
    is_rate: bool = False
    floor_ratio: float | None = None
    peer_ratio: float | None = None


FIGURES: Final = (
    Figure("W1", "one run of {w1_steps} sequential steps", "ms", "{w1_steps} durable", 15, floor_ratio=1.7, peer_ratio=5),
    Figure("W1p", "the same with pure steps", "ms", "{w1_steps} pure"),
    Figure("W2", "{w2_runs} runs of {w2_steps} steps at once", "steps/s", "all durable", 20_000, is_rate=True, peer_ratio=60),
    Figure("W3", "a run of one step over HTTP, waited for, one client: p50", "ms", "1 durable", 1.5, peer_ratio=2.5),
    Figure("W3 p99", "the same: p99", "ms", "1 durable", 4),
    Figure("W3 many", "the same, {w3_clients} clients", "requests/s", "1 durable", 5_000, is_rate=True, peer_ratio=6),
    Figure(
        "W3 accepted",
        "starts that are answered as soon as they are stored",
        "requests/s",
        "1 durable",
        6_000,
        is_rate=True,
        peer_ratio=1.7,
    ),
    Figure("W4", "foreach of {w4_items} items, unlimited, joined", "ms", "{w4_items} durable", 20, peer_ratio=70),
    Figure("W5 memory", "{w5_sleepers} runs asleep: memory of each", "KiB", "no step runs", 1),
    Figure("W5 wake", "all fall due at once: until all have ended", "s", "no step runs", 2),
    Figure("W6 memory", "the idle process", "MiB", "-", 90),
    Figure("W6 start", "from exec to the first committed run", "s", "1 durable", 1),
    Figure("W6 server memory", "the idle process with the server in it", "MiB", "-", 150),
    Figure("W6 server start", "from exec to the first answer", "s", "1 durable", 2),
    Figure("W7 steps", "{w7_steps} steps in one run: cost at the end ÷ at the beginning", "times", "all durable", 1.2),
    Figure("W7 start", "start in a store of {w7_store_runs} runs ÷ in an empty one, p50", "times", "1 durable", 1.5),
    Figure("W7 list", "the list of runs in that store, p50", "ms", "-", 50),
    Figure("W1 PostgreSQL", "W1 on PostgreSQL", "ms", "{w1_steps} durable", 30),
    Figure("W2 PostgreSQL", "W2 on PostgreSQL, one process", "steps/s", "all durable", is_rate=True, peer_ratio=15),
    *(
        Figure(f"W8, {workers}", f"W2 on PostgreSQL, workers: {workers}", "steps/s", "all durable", is_rate=True, peer_ratio=15)
        for workers in (1, 2, 4)
    ),
    *(
        Figure(f"W8 CPU, {workers}", "the same: processor time of the workers a step", "µs", "all durable")
        for workers in (1, 2, 4)
    ),
    Figure("W8 ring", "a start in one process to the first step in another, through Redis, p50", "ms", "1 durable", 15),
    Figure("W8 take-over", "{w8_hanging} runs of a killed worker begin again elsewhere: time beyond EXPIRY", "s", "-", 2),
    Figure("W8 claim", "a claim with {w8_queued} runs queued ÷ one with a hundredth of them", "times", "no step runs", 1.2),
    Figure("W9 hash", "`crypto.hash` of 1 MiB; floor: the library called directly", "ms", "a pure call", floor_ratio=1.5),
    Figure("W9 value to csv", "`data.convert` of 1 MiB of rows; floor: as above", "ms", "a pure call", floor_ratio=1.5),
    Figure("W9 json to csv", "`data.convert` of 1 MiB of JSON text", "ms", "a pure call", floor_ratio=1.5),
    Figure("W9 csv to json", "`data.convert` of 0.7 MiB of CSV text", "ms", "a pure call", floor_ratio=1.5),
    Figure("W9 large csv memory", "a CSV file of {w9_csv_mib} MiB to NDJSON: memory of the process", "MiB", "a file", 200),
    Figure("W9 large csv time", "the same: time", "s", "a file"),
    Figure("W9 javascript", "a call of `script.javascript`, warm, p50", "ms", "a script", 1),
    Figure("W9 javascript cold", "the same with the start of its process", "ms", "a script", 100),
    Figure("W9 python", "a call of `script.python`, warm, p50", "ms", "a script", 2),
    Figure("W9 python cold", "the same with the start of its process", "ms", "a script", 100),
    Figure("W9 guard", "the egress guard's part of a call", "µs", "-", 50),
)


@dataclass(slots=True)
class Results:
    """Measurements by figure and subject, in the figure's unit."""

    values: defaultdict[tuple[str, Subject], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, figure: str, subject: Subject, value: float) -> None:
        self.values[figure, subject].append(value)

    def find(self, figure: str, subject: Subject) -> float | None:
        """The median, None if nothing was measured."""
        values = self.values.get((figure, subject))
        return median(values) if values else None

    def choose_peer(self, figure: str, ways: Sequence[str], *, is_rate: bool) -> None:
        """Of the ways in which the peer did the same work the better one counts."""
        measured = [values for way in ways if (values := self.values.pop((f"{figure} {way}", Subject.PEER), None))]
        if measured:
            self.values[figure, Subject.PEER] = (max if is_rate else min)(measured, key=median)

    def share_peer(self, figure: str, other: str) -> None:
        """What the peer gave for one figure stands beside another one too."""
        if (figure, Subject.PEER) in self.values:
            self.values[other, Subject.PEER] = self.values[figure, Subject.PEER]

    def spread(self, figure: str) -> str:
        values = self.values[figure, Subject.ENGINE]
        return f"{_number(min(values))}-{_number(max(values))}"


def render_table(results: Results, sizes: Mapping[str, int]) -> str:
    """A Markdown table with a line for each figure that was measured."""
    lines = [
        "| | work | steps | engine | spread | floor | ÷ floor | DBOS | ahead of DBOS | bar | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for figure in FIGURES:
        value = results.find(figure.name, Subject.ENGINE)
        if value is not None:
            lines.append(_render_line(figure, value, results, sizes))
    return "\n".join(lines)


def _render_line(figure: Figure, value: float, results: Results, sizes: Mapping[str, int]) -> str:
    floor, peer = results.find(figure.name, Subject.FLOOR), results.find(figure.name, Subject.PEER)
    floor_ratio = None if floor is None else (floor / value if figure.is_rate else value / floor)
    peer_ratio = None if peer is None else (value / peer if figure.is_rate else peer / value)
    cells = [
        figure.name,
        figure.what.format_map(sizes),
        figure.steps.format_map(sizes),
        f"**{_number(value)} {figure.unit}**",
        results.spread(figure.name),
        _number(floor),
        _number(floor_ratio),
        _number(peer),
        _number(peer_ratio),
        _render_bar(figure),
        _verdict(figure, value, floor_ratio, peer_ratio),
    ]
    return f"| {' | '.join(cells)} |"


def _render_bar(figure: Figure) -> str:
    parts = [] if figure.bar is None else [f"{'≥' if figure.is_rate else '≤'} {figure.bar:,g} {figure.unit}"]
    if figure.floor_ratio is not None:
        parts.append(f"≤ {figure.floor_ratio:g} x floor")
    if figure.peer_ratio is not None:
        parts.append(f"≥ {figure.peer_ratio:g} x DBOS")
    return ", ".join(parts)


def _verdict(figure: Figure, value: float, floor_ratio: float | None, peer_ratio: float | None) -> str:
    missed: list[str] = []
    if figure.bar is not None and (value < figure.bar if figure.is_rate else value > figure.bar):
        missed.append("bar")
    if figure.floor_ratio is not None and floor_ratio is not None and floor_ratio > figure.floor_ratio:
        missed.append("floor")
    if figure.peer_ratio is not None and peer_ratio is not None and peer_ratio < figure.peer_ratio:
        missed.append("DBOS")
    if missed:
        return f"missed ({', '.join(missed)})"
    return "-" if not _render_bar(figure) else "met"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def write_page(path: Path, table: str, *, folder: Path, versions: Mapping[str, str], remarks: Sequence[str], notes: str) -> None:
    """Writes the page. `folder` is where the databases lay; `notes` say what bounds a bar that was missed."""
    parts = [
        "# Benchmarks",
        _PREFACE,
        table,
        "\n".join(f"- {remark}" for remark in remarks),
        "## Machine",
        "\n".join(f"- {name}: {fact}" for name, fact in {**_describe_machine(folder), **versions}.items()),
    ]
    if notes:
        parts.append(notes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _describe_machine(folder: Path) -> dict[str, str]:
    return {
        "date": format_timestamp_ms(SystemClock().now_ms()),
        "processor": _find_processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _find_file_system(folder),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "FlowForge": __version__,
    }


def _find_processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def _find_file_system(folder: Path) -> str:
    """The type of the mount that holds the folder: the longest mount point above it."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    holding = [(point, kind) for _, point, kind, *_ in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1] if holding else "unknown"
