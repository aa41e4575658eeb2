"""W6: a process of its own that opens a data folder, commits one run, says so, and then idles until its input ends."""

import asyncio
import sys
from pathlib import Path

from bench.documents import sequence
from bench.engine_adapter import open_engine_under_test
from bench.operations import EFFECT


async def run(folder: Path) -> None:
    async with open_engine_under_test(folder) as engine:
        await engine.finish(await engine.start(engine.define(sequence("fresh", 1, EFFECT))))
        print("committed", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
