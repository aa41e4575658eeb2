"""The outside world of engine tests: effects that are written down durably, behave as told, and survive the engine's death.

A book is a file of JSON lines, appended with one `write` each, so that a process killed behind it cannot take the line along.
"""

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic import JsonValue as AnyJson

from flowforge.kit.clock import Clock, SystemClock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.declaration import operation
from flowforge.operations.definition import Exit, FatalError, Nature, OperationContext, RetryableError
from flowforge.operations.models import MAY_SECRET, StrictModel


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that reached the world."""

    run: str
    step: str
    attempt: int
    key: str
    name: str
    value: JsonValue
    at_ms: int


@dataclass
class EffectBook:
    """What the world saw. `gates`: names of effects that wait until they are opened."""

    path: Path
    gates: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])
    clock: Clock = field(default_factory=SystemClock)

    def write(self, context: OperationContext, name: str, value: JsonValue) -> int:
        """Writes a request down; returns how many of its key there are now."""
        at_ms = self.clock.now_ms()
        entry = Entry(context.run_id, context.step, context.attempt, context.idempotency_key, name, value, at_ms)
        line = json.dumps({name: getattr(entry, name) for name in Entry.__slots__}) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
        return sum(1 for other in self.entries() if other.key == entry.key)

    def entries(self) -> list[Entry]:
        if not self.path.exists():
            return []
        return [Entry(**json.loads(line)) for line in self.path.read_text().splitlines()]

    def names(self) -> list[str]:
        return [entry.name for entry in self.entries()]

    def keys_of(self, name: str) -> set[str]:
        return {entry.key for entry in self.entries() if entry.name == name}

    def gate(self, name: str) -> asyncio.Event:
        """Effects of that name wait until the returned event is set."""
        return self.gates.setdefault(name, asyncio.Event())


class RecordParameters(StrictModel):
    """What the effect is called in the book, what it gives back, and how it fails before it succeeds."""

    name: str
    value: AnyJson = None
    failures: int = Field(0, description="Fail this many times (by key) before it works; -1 for ever.")
    code: str = "broken"
    fatal: bool = False
    after_ms: int | None = None
    postponed: int = Field(0, description="Be put off this many times (by key) before anything else.")
    size: int = Field(0, description="Give back a text of that many characters instead of the value.")
    stubborn: bool = Field(False, description="When aborted at its gate, succeed all the same.")


class RecordResult(StrictModel):
    value: AnyJson
    key: str
    times: int


@operation("test.record", title="Record", category="test", icon="pen", nature=Nature.EFFECT)
async def record(parameters: RecordParameters, context: OperationContext) -> RecordResult:
    """Writes itself into the book, waits at its gate, and fails as often as it is told."""
    book = context.service(EffectBook)
    times = book.write(context, parameters.name, parameters.value)
    crashpoint("CP08")
    await _wait_at_gate(book, parameters)
    if times <= parameters.postponed:
        details: JsonValue = {"host": "shop.example:443", "until": "later"}
        raise RetryableError("Not now.", code="circuit_open", details=details, after_ms=parameters.after_ms, postpones=True)
    if parameters.failures < 0 or times <= parameters.failures:
        message = f"{parameters.name} is told to fail"
        if parameters.fatal:
            raise FatalError(message, code=parameters.code)
        raise RetryableError(message, code=parameters.code, after_ms=parameters.after_ms)
    value = "x" * parameters.size if parameters.size else parameters.value
    return RecordResult(value=value, key=context.idempotency_key, times=times)


async def _wait_at_gate(book: EffectBook, parameters: RecordParameters) -> None:
    gate = book.gates.get(parameters.name)
    if gate is None:
        return
    try:
        await gate.wait()
    except asyncio.CancelledError:
        if not parameters.stubborn:
            raise


class RouteParameters(StrictModel):
    port: Literal["left", "right"]


@operation("test.route", title="Route", category="test", icon="x", nature=Nature.EFFECT, ports=("left", "right"), result=None)
async def route(parameters: RouteParameters, context: OperationContext) -> Exit:
    """Leaves by the port that it is told."""
    context.service(EffectBook).write(context, "route", parameters.port)
    return Exit(parameters.port, {"chosen": parameters.port})


class TellParameters(StrictModel):
    secret: Annotated[str, MAY_SECRET]
    fails: bool = False


@operation("test.tell", title="Tell", category="test", icon="x", nature=Nature.EFFECT)
async def tell(parameters: TellParameters, context: OperationContext) -> JsonValue:
    """Gives its secret away wherever it can: in its log, in its error, in its output."""
    context.service(EffectBook).write(context, "tell", len(parameters.secret))
    context.log("info", f"it is {parameters.secret}", said=parameters.secret)
    if parameters.fails:
        raise FatalError(f"it was {parameters.secret}", code="told", details=[parameters.secret])
    return {"said": parameters.secret}


class DoubleParameters(StrictModel):
    number: float | int


class DoubleResult(StrictModel):
    number: float | int


@operation("test.double", title="Double", category="test", icon="x", nature=Nature.PURE)
def double(parameters: DoubleParameters) -> DoubleResult:
    """Twice the number."""
    return DoubleResult(number=parameters.number * 2)


@operation("test.log", title="Log", category="test", icon="x", nature=Nature.EFFECT)
async def write_log(parameters: RecordParameters, context: OperationContext) -> JsonObject:
    """Writes its name into the run's log."""
    context.log("info", parameters.name, value=parameters.value)
    return {}
