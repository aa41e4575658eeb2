"""The operations that the workloads call: light ones that return at once, and two that tell when they were called, for other processes."""

import asyncio
import time
from pathlib import Path
from typing import Final

from pydantic import JsonValue as AnyJson

from flowforge.operations import Nature, OperationContext, StrictModel, operation

EFFECT: Final = "bench.effect"
PURE: Final = "bench.pure"
TELL: Final = "bench.tell"
HANG: Final = "bench.hang"
_HANG_S: Final = 600


class Value(StrictModel):
    value: AnyJson = None


class Moment(StrictModel):
    """`at_ns`: by the machine's monotonic clock, which all its processes share."""

    at_ns: int


@operation(EFFECT, title="Effect", category="bench", icon="bolt", nature=Nature.EFFECT)
async def effect(parameters: Value, context: OperationContext) -> Value:
    """Gives back its value, as an effect."""
    return parameters


@operation(PURE, title="Pure", category="bench", icon="bolt", nature=Nature.PURE)
def pure(parameters: Value) -> Value:
    """Gives back its value."""
    return parameters


@operation(TELL, title="Tell", category="bench", icon="bolt", nature=Nature.EFFECT)
async def tell(parameters: Value, context: OperationContext) -> Moment:
    """Tells when it was called."""
    return Moment(at_ns=time.monotonic_ns())


@operation(HANG, title="Hang", category="bench", icon="bolt", nature=Nature.EFFECT)
async def hang(parameters: Value, context: OperationContext) -> Moment:
    """Its first attempt lasts until its worker is dead; the next one tells when it was called."""
    if context.attempt == 1:
        await asyncio.sleep(_HANG_S)
    return Moment(at_ns=time.monotonic_ns())


def install(site: Path) -> None:
    """What an installer leaves behind, so that processes with `site` in their path know these operations."""
    facts = site / "flowforge_bench-1.0.dist-info"
    facts.mkdir(parents=True, exist_ok=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: flowforge-bench\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(f"[flowforge.operations]\nbench = {__name__}\n", encoding="utf-8")
