"""F19, in a process of its own: an engine with more effects in flight than the system gives it descriptors.

`python -m tests.reliability.few_descriptors FOLDER`: prints how the run ended, and how many attempts failed for want of a descriptor.
"""

import asyncio
import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Final

from tests.support.documents import make_document
from tests.support.lab import open_lab

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.declaration import operation
from flowforge.operations.definition import Nature, OperationContext
from flowforge.operations.models import StrictModel

DESCRIPTORS: Final = 64
DOCUMENT: Final = make_document(
    """
- id: each
  uses: flow.foreach
  with: {items: "${{ lists.range(200) }}", concurrency: unlimited}
  steps:
    - {id: hold, uses: test.hold, with: {}, retry: {attempts: 1000, initial: 50ms, backoff: fixed}}
"""
)


class HoldParameters(StrictModel):
    pass


@operation("test.hold", title="Hold", category="test", icon="x", nature=Nature.EFFECT)
async def hold(parameters: HoldParameters, context: OperationContext) -> JsonValue:
    """Holds a descriptor for longer than two beats."""
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        await asyncio.sleep(0.5)
    finally:
        os.close(descriptor)
    return None


async def run_short_of_descriptors(folder: Path) -> JsonObject:
    async with open_lab(folder) as lab:
        lab.registry.register(hold, "this test")
        await lab.open_rival()  # each beat opens the lock files of the others
        started = await lab.start(DOCUMENT)
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        outcome = await lab.finish(started)
        worker = lab.engine.worker
        later = await lab.run(make_document("- {id: a, uses: test.record, with: {name: a}}\n", name="later"))
        return {
            "status": outcome.status,
            "failures": len(outcome.of("step.failed")),
            "claims": len(outcome.of("run.claimed")),
            "later": later.status,
            "pulses": sum(thread.name == "flowforge-pulse" for thread in threading.enumerate()),
            "is_beating": lab.store.beat(worker, 1_000),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run_short_of_descriptors(Path(sys.argv[1])))))  # noqa: T201
