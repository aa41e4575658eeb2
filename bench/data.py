"""What the data operations cost: a large file through data.convert, and a call against the library below it."""

import asyncio
import csv
import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, cast

import orjson

from flowforge.kit.clock import SystemClock
from flowforge.kit.ids import IdSource
from flowforge.kit.masking import Masker
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import AttemptContext, Operation
from flowforge.operations.calling import run_effect, run_pure, validate_parameters
from flowforge.steps.crypto.hash import hash_data
from flowforge.steps.data.convert import convert

_MIB: Final = 2**20
_HEADER: Final = b"id,name,email,city,amount,note\n"


@dataclass(frozen=True, slots=True)
class LargeFile:
    """What converting a large file took. `peak_mib` is the resident memory of the whole process at its largest."""

    seconds: float
    peak_mib: float
    idle_mib: float
    rows: int


def measure_large_csv(folder: Path, size_mib: int = 100) -> LargeFile:
    """data.convert of a CSV file of this size to NDJSON, in a process of its own. Bar: at most 200 MiB of memory."""
    command = [sys.executable, "-m", "bench.data", str(folder), str(size_mib)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return LargeFile(**json.loads(answer.stdout))


def _convert_large_csv(folder: Path, size_mib: int) -> LargeFile:
    store = ObjectStore(folder, IdSource(SystemClock()))
    source, rows = _write_large_csv(store, size_mib * _MIB)
    context = AttemptContext("run_1", "step", 1, "key", {ObjectStore: store}, lambda _level, _message, _fields: None, Masker(), 0)
    idle_mib = _peak_mib()
    begun = time.perf_counter()
    asyncio.run(run_effect(convert, validate_parameters(convert, {"file": source, "to": "ndjson"}), context))
    return LargeFile(time.perf_counter() - begun, _peak_mib(), idle_mib, rows)


def _write_large_csv(store: ObjectStore, size_bytes: int) -> tuple[JsonObject, int]:
    row = 0
    with store.create(name="large.csv", media_type="text/csv") as writer:
        writer.write(_HEADER)
        while writer.size_bytes < size_bytes:
            lines: list[str] = []
            for _ in range(1_000):
                row += 1
                town, amount = f"Town {row % 977}", f"{row % 9_999}.{row % 100:02}"
                lines.append(f'{row},customer number {row},c{row}@example.com,{town},{amount},"a note, with a comma {row}"\n')
            writer.write("".join(lines).encode())
        return writer.commit().to_json(), row


def _peak_mib() -> float:
    # Not getrusage: its figure begins with that of the process which started this one.
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class CallCost:
    """Milliseconds of one call through `validate_parameters` and `run_pure`, and of the library alone. Bar: a ratio of 1.5."""

    name: str
    operation_ms: float
    library_ms: float

    @property
    def ratio(self) -> float:
        return self.operation_ms / self.library_ms


def measure_calls(rounds: int) -> list[CallCost]:
    """Calls with about 1 MiB of data each, the median of several in turn."""
    rows: list[JsonValue] = [
        {"id": number, "name": f"customer {number}", "city": f"Town {number % 97}", "amount": number / 4, "open": number % 2 == 0}
        for number in range(11_000)
    ]
    json_text, csv_text = orjson.dumps(rows).decode(), _write_csv(rows)
    text = "The quick brown fox. " * (_MIB // 21)
    compared: list[tuple[str, Operation, JsonObject, Callable[[], object]]] = [
        ("hash", hash_data, {"data": text}, lambda: hashlib.sha256(text.encode()).hexdigest()),
        (
            "json to csv",
            convert,
            {"data": json_text, "from": "json", "to": "csv"},
            lambda: _write_csv(cast("list[JsonValue]", orjson.loads(json_text))),
        ),
        ("value to csv", convert, {"data": rows, "to": "csv"}, lambda: _write_csv(rows)),
        (
            "csv to json",
            convert,
            {"data": csv_text, "from": "csv", "to": "json"},
            lambda: orjson.dumps([*csv.DictReader(io.StringIO(csv_text))]).decode(),
        ),
    ]
    return [_compare(name, operation, given, library, rounds) for name, operation, given, library in compared]


def _write_csv(rows: list[JsonValue]) -> str:
    held = io.StringIO()
    writer = csv.DictWriter(held, ["id", "name", "city", "amount", "open"])
    writer.writeheader()
    writer.writerows(cast("list[dict[str, object]]", rows))
    return held.getvalue()


def _compare(name: str, operation: Operation, parameters: JsonObject, library: Callable[[], object], rounds: int) -> CallCost:
    def call() -> object:
        return run_pure(operation, validate_parameters(operation, parameters))

    call()
    library()
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        ours.append(_measure_ms(call))
        theirs.append(_measure_ms(library))
    return CallCost(name, median(ours), median(theirs))


def _measure_ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1_000


if __name__ == "__main__":
    # A process of its own, so that its memory is that of the conversion alone.
    found = _convert_large_csv(Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps({"seconds": found.seconds, "peak_mib": found.peak_mib, "idle_mib": found.idle_mib, "rows": found.rows}))
