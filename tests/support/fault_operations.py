"""Operations for a cluster under test, as an installed package brings them: some kill their worker, some work for long in a process of their own."""

import asyncio
import os
import signal
import time
import urllib.request
from pathlib import Path

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.declaration import operation
from flowforge.operations.definition import FatalError, Nature, OperationContext, RetryableError
from flowforge.operations.models import StrictModel

ENTRY_POINTS = "[flowforge.operations]\nfaults = tests.support.fault_operations\n"


def install(site: Path) -> None:
    """What an installer leaves behind, so that processes with `site` in their path know these operations."""
    facts = site / "flowforge_faults-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: flowforge-faults\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)


class CallParameters(StrictModel):
    """`url` is told first, under the attempt's key; then it works for `work_ms`."""

    url: str
    work_ms: int = 0
    cure: str = ""


def call(url: str, context: OperationContext) -> JsonValue:
    """One request with the attempt's Idempotency-Key; anything but 200 is worth another try."""
    request = urllib.request.Request(url, headers={"Idempotency-Key": context.idempotency_key})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return {"status": answer.status, "attempt": context.attempt}
    except OSError as fault:
        raise RetryableError(f"{url} does not answer: {fault}", code="no_answer") from fault


@operation("test.die", title="Die", category="test", icon="x", nature=Nature.EFFECT)
async def die(parameters: CallParameters, context: OperationContext) -> JsonValue:
    """Takes its worker with it, as one that runs out of memory does, until the file `cure` is there."""
    answer = await asyncio.to_thread(call, parameters.url, context)
    if not await asyncio.to_thread(Path(parameters.cure).exists):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


@operation("test.die_heavy", title="Die", category="test", icon="x", nature=Nature.HEAVY)
def die_heavy(parameters: CallParameters, context: OperationContext) -> JsonValue:
    """Takes the worker that started this process with it."""
    answer = call(parameters.url, context)
    if not Path(parameters.cure).exists():
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(30)
    return answer


@operation("test.knock", title="Knock", category="test", icon="x", nature=Nature.EFFECT)
async def knock(parameters: CallParameters, context: OperationContext) -> JsonValue:
    """Calls, without what the outbound client does to spare a host."""
    return await asyncio.to_thread(call, parameters.url, context)


@operation("test.work", title="Work", category="test", icon="x", nature=Nature.HEAVY)
def work(parameters: CallParameters, context: OperationContext) -> JsonObject:
    """Calls, and is busy for a while."""
    answer = call(parameters.url, context)
    until_s = time.monotonic() + parameters.work_ms / 1000
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, 0.05))
    if parameters.cure:
        raise FatalError("This one takes no cure.", code="no_cure")
    return {"answer": answer, "process": os.getpid()}
