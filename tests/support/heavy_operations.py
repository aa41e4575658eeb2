"""Heavy operations for tests: what runs in a process of its own, in good and bad ways."""

import os
import signal
import sys
import time
from pathlib import Path, PosixPath
from typing import Annotated

from pydantic import JsonValue as AnyJson

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.declaration import operation
from flowforge.operations.definition import Exit, FatalError, Nature, OperationContext, RetryableError
from flowforge.operations.models import MAY_SECRET, FileInput, StrictModel
from flowforge.operations.registry import Registry


class CountParameters(StrictModel):
    up_to: int
    value: AnyJson = None
    low: bool = False


@operation("test.count", title="Count", category="test", icon="x", nature=Nature.HEAVY, ports=("done", "low"), result=None)
def count(parameters: CountParameters, context: OperationContext) -> Exit:
    """Adds numbers up, tells of it, prints, and says in which process it was."""
    total = sum(range(parameters.up_to))
    context.log("info", "counted", total=total)
    sys.stdout.write("this must not disturb the pipe\n")
    facts: JsonObject = {
        "total": total,
        "value": parameters.value,
        "process": os.getpid(),
        "who": [context.run_id, context.step, context.attempt, context.idempotency_key],
    }
    return Exit("low" if parameters.low else "done", facts)


class BreakParameters(StrictModel):
    how: str
    path: str = ""


@operation("test.break", title="Break", category="test", icon="x", nature=Nature.HEAVY)
def break_(parameters: BreakParameters, context: OperationContext) -> JsonValue:
    """Fails, dies, or never ends."""
    context.log("warning", "about to break", how=parameters.how)
    match parameters.how:
        case "fatal":
            raise FatalError("It is broken.", code="broken", details={"a": [1]})
        case "retryable":
            raise RetryableError("Later.", code="later", after_ms=40, by_default=False)
        case "bug":
            raise KeyError("what")
        case "no json":
            raise FatalError("Odd.", code="odd", details=object())  # type: ignore[arg-type]  # the mistake that is tested
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "die once":
            _die_once(Path(parameters.path))
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _spin(Path(parameters.path))
        case _:
            _spin(Path(parameters.path))
    return "alive"


def _die_once(path: Path) -> None:
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _spin(path: Path) -> None:
    """Tells its process, and works for ever."""
    path.write_text(str(os.getpid()))
    try:
        while True:
            time.monotonic()
    finally:
        path.with_suffix(".tidy").touch()


class WhisperParameters(StrictModel):
    secret: Annotated[str, MAY_SECRET]
    fails: bool = False


@operation("test.whisper", title="Whisper", category="test", icon="x", nature=Nature.HEAVY)
async def whisper(parameters: WhisperParameters, context: OperationContext) -> JsonValue:
    """Gives its secret away wherever it can."""
    context.log("info", f"it is {parameters.secret}", said=parameters.secret)
    if parameters.fails:
        raise ValueError("x" * 960 + parameters.secret)
    return {"said": parameters.secret, "length": len(parameters.secret)}


class HoardParameters(StrictModel):
    size_bytes: int


@operation("test.hoard", title="Hoard", category="test", icon="x", nature=Nature.HEAVY)
def hoard(parameters: HoardParameters, context: OperationContext) -> JsonValue:
    """Takes memory, and says which services it found."""
    taken = bytearray(parameters.size_bytes)
    return {"taken": len(taken), "shelf": context.service(Path).name}


def make_services(given: JsonObject) -> dict[type, object]:
    """A service made in the process itself."""
    return {Path: PosixPath(str(given["shelf"]))}


class EchoParameters(StrictModel):
    data: AnyJson = None
    file: FileInput | None = None


def echo_file(parameters: EchoParameters, context: OperationContext) -> JsonValue:
    """The form for files."""
    return {"file": parameters.file, "process": os.getpid(), "step": context.step}


@operation("test.echo", title="Echo", category="test", icon="x", nature=Nature.PURE, with_file=echo_file)
def echo(parameters: EchoParameters) -> JsonValue:
    """Gives back the data, or what the form for files makes of the file."""
    return {"data": parameters.data}


def load() -> Registry:
    """What a process of the tests can do."""
    registry = Registry()
    for each in (count, break_, whisper, hoard, echo):
        registry.register(each)
    return registry
