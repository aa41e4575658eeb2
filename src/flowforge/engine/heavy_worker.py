"""What runs in a process of heavy operations: one job after another, each told and answered over pipes.

A message is four bytes of length (big-endian) and JSON. The first one that the process sends says that its operations are loaded. It
ends when its pipe does, so that nothing goes on working for an engine that is gone. Imports little: every process pays for it.
"""

import asyncio
import os
import resource
import signal
import struct
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, BinaryIO, Final, NoReturn, cast

from flowforge.kit.border import decode, encode
from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import InvariantError
from flowforge.kit.limits import Limits
from flowforge.kit.masking import Masker
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import run_effect, validate_parameters
from flowforge.operations.context import AttemptContext
from flowforge.operations.definition import AttemptError, FatalError, RetryableError
from flowforge.operations.registry import Registry

LENGTH: Final = struct.Struct(">I")
READY: Final[JsonObject] = {"ready": True}


def pack_message(message: Mapping[str, JsonValue]) -> bytes:
    data = encode(dict(message))
    return LENGTH.pack(len(data)) + data


@dataclass(frozen=True, slots=True)
class _Workplace:
    """What every job finds here."""

    registry: Registry
    services: Mapping[type, object]
    limits: Limits


def serve(loader: str, services: JsonObject | None, limits: JsonObject) -> NoReturn:
    """Works until the pipe ends. `loader`: `module:function`, which gives the registry; `services`: as `HeavyServices`."""
    inbound, outbound = _take_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the engine says when to end
    signal.signal(signal.SIGTERM, _leave)
    made: Mapping[type, object] = {} if services is None else _find_function(str(services["maker"]))(services["given"])
    place = _Workplace(_find_function(loader)(), made, Limits.model_validate(limits))
    jobs: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(inbound, jobs), daemon=True).start()
    _send(outbound, pack_message(READY))
    while True:
        job = cast("JsonObject", decode(jobs.get()))
        with _bounded_memory(place.limits.parser_mem_bytes):
            answer = _answer(place, job)
        _send(outbound, answer)


def _find_function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


@contextmanager
def _bounded_memory(most_bytes: int) -> Generator[None]:
    """What an operation allocates beyond the bound is refused (MemoryError), so that a hostile file cannot take the machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    size_pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (size_pages * resource.getpagesize() + most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes of the engine, out of the way of operations that read standard input or print."""
    inbound, outbound = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return inbound, outbound


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ends the operation where it is, so that it can tidy up."""
    sys.exit(128 + signal.SIGTERM)


def _listen(inbound: BinaryIO, jobs: "SimpleQueue[bytes]") -> None:
    while len(length := inbound.read(LENGTH.size)) == LENGTH.size:
        jobs.put(inbound.read(LENGTH.unpack(length)[0]))
    os._exit(0)


def _send(outbound: BinaryIO, message: bytes) -> None:
    outbound.write(message)
    outbound.flush()


def _answer(place: _Workplace, job: JsonObject) -> bytes:
    log: list[JsonValue] = []
    try:
        port, output = _work(place, job, log)
        return pack_message({"port": port, "output": output, "log": log})
    except AttemptError as fault:
        is_memory = isinstance(fault.__cause__, MemoryError)
        return _pack_fault(_tell_memory(job, place.limits) if is_memory else fault, log)


def _tell_memory(job: JsonObject, limits: Limits) -> FatalError:
    size = format_size(limits.parser_mem_bytes)
    return FatalError(
        f"{job['operation']} needs more than {size} of memory for this; split it, or raise LIMIT_PARSER_MEM.", code="parser_limit"
    )


def _pack_fault(fault: AttemptError, log: list[JsonValue]) -> bytes:
    told: JsonObject = {"code": fault.code, "message": fault.message, "details": fault.details, "fatal": True}
    if isinstance(fault, RetryableError):
        told |= {"fatal": False, "by_default": fault.by_default, "after_ms": fault.after_ms, "postpones": fault.postpones}
    try:
        return pack_message({"fault": told, "log": log})
    except InvariantError:
        message = f"The details of the error {fault.code} are no JSON; this is a mistake in the operation."
        return pack_message({"fault": {**told, "code": "result_invalid", "message": message, "details": None}, "log": log})


def _work(place: _Workplace, job: JsonObject, log: list[JsonValue]) -> tuple[str, JsonValue]:
    operation = place.registry.find(str(job["operation"]))
    if operation is None:
        raise FatalError(f"The operation {job['operation']} is not installed in the process for it.", code="not_installed")
    clock, masker = SystemClock(), Masker()
    for secret in cast("list[str]", job["secrets"]):
        masker.add(secret)

    def write_log(level: str, message: str, fields: JsonObject) -> None:
        # As text: what is no JSON fails in the operation that wrote it.
        log.append([clock.now_ms(), level, message, encode(fields).decode()])

    context = AttemptContext(
        run_id=str(job["run"]),
        step=str(job["step"]),
        attempt=cast("int", job["attempt"]),
        idempotency_key=str(job["key"]),
        services=place.services,
        write_log=write_log,
        masker=masker,
        depth=cast("int", job["depth"]),
        limits=place.limits,
        read_clock=clock.now_ms,
    )
    parameters = validate_parameters(operation, job["parameters"])
    return asyncio.run(run_effect(operation, parameters, context, place.limits))
