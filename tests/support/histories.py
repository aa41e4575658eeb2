"""Recorded runs: `python -m tests.support.histories` records one for each scenario that has none yet, under tests/engine/histories/.

A record is never changed: what an engine has once written must fold for ever. New events get new records.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Final

from tests.support.crash_runner import Life, read_result
from tests.support.history import read
from tests.support.scenarios import SCENARIOS

HISTORIES: Final = Path(__file__).parents[1] / "engine" / "histories"


def record(name: str, target: Path) -> None:
    """Runs a scenario and writes down all journals of its database, with how the scenario's own run ended."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        asyncio.run(Life(folder, SCENARIOS[name]).live())
        status, output = read_result(folder / "flowforge.db")
        database = read(folder / "flowforge.db")
        runs = [
            {
                "document": history.document,
                "rows": [{"seq": entry.seq, "at": entry.at, "event": entry.event} for entry in history.entries],
                "status": history.row["status"],
            }
            for history in database.histories
        ]
    target.write_text(json.dumps({"scenario": name, "status": status, "output": output, "runs": runs}, indent=1) + "\n")


def main() -> None:
    HISTORIES.mkdir(exist_ok=True)
    for name in SCENARIOS:
        target = HISTORIES / f"{name}.json"
        if not target.exists():
            record(name, target)


if __name__ == "__main__":
    main()
