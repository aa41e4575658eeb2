"""Heavy operations: each attempt in a process of its own, so that it neither holds up the loop nor takes the engine with it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from flowforge.engine.heavy_worker import LENGTH, pack_message
from flowforge.kit.border import decode, encode
from flowforge.kit.limits import Limits
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.definition import FatalError, RetryableError

_KILL_AFTER_S: Final = 1.0
"""How long a process that was told to end may take to tidy up."""
_SHOWN_CHARACTERS: Final = 2_000
_BOOT: Final = (
    "import json, sys; given = json.loads(sys.argv[1]); sys.path[:] = given['path']; "
    "from flowforge.engine.heavy_worker import serve; serve(given['loader'], given['services'], given['limits'])"
)

logger = get_logger("engine.heavy")

WriteLine = Callable[[int, str, str, JsonObject], None]
"""Takes time, level, message and fields of a line that an operation wrote."""


@dataclass(frozen=True, slots=True)
class HeavyServices:
    """The services that heavy operations may ask for: `maker` (`module:function`) makes them in the process, from `given`."""

    maker: str
    given: JsonObject


@dataclass(frozen=True, slots=True)
class HeavyJob:
    """An attempt for another process. `parameters` hold their secrets; `secrets` are these once more, to be masked."""

    operation: str
    parameters: JsonObject
    secrets: list[str]
    run_id: str
    step: str
    attempt: int
    idempotency_key: str
    depth: int

    def pack(self) -> bytes:
        return pack_message(
            {
                "operation": self.operation,
                "parameters": self.parameters,
                "secrets": [*self.secrets],
                "run": self.run_id,
                "step": self.step,
                "attempt": self.attempt,
                "key": self.idempotency_key,
                "depth": self.depth,
            }
        )


class HeavyPool:
    """At most as many processes as there are cores, made when they are needed. `loader`: `module:function`, which gives the registry."""

    def __init__(self, loader: str | None, limits: Limits, services: HeavyServices | None = None) -> None:
        self._loader = loader
        self._services = services
        self._limits = limits
        self._places = asyncio.Semaphore(os.cpu_count() or 1)
        self._idle: list[_Child] = []

    async def run(self, job: HeavyJob, begin: Callable[[], None], write_line: WriteLine) -> tuple[str, JsonValue]:
        """Port and output. `begin` is called when a process has room for the job. Cancelled, it ends the process.

        Raises:
            FatalError, RetryableError: the operation's own, or `worker_died` if its process did.
        """
        async with self._places:
            child = self._find_idle() or await self._start()
            begin()
            reply: JsonObject | None = None
            try:
                reply = await child.call(job.pack())
            finally:
                if reply is None:
                    await child.end()
                else:
                    self._idle.append(child)
        if reply is None:
            raise _tell_death(job.operation, child.code)
        return _read_reply(reply, write_line)

    def _find_idle(self) -> "_Child | None":
        while self._idle:
            child = self._idle.pop()
            if child.code is None:
                return child
        return None

    async def _start(self) -> "_Child":
        if self._loader is None:
            raise FatalError("This process has no place for heavy operations; run the workflow elsewhere.", code="not_installed")
        services: JsonValue = None if self._services is None else {"maker": self._services.maker, "given": self._services.given}
        limits = self._limits.model_dump(mode="json")
        given = {"path": [*sys.path], "loader": self._loader, "services": services, "limits": limits}
        command = [sys.executable, "-c", _BOOT, encode(cast("JsonObject", given)).decode()]
        try:
            _, child = await asyncio.get_running_loop().subprocess_exec(_Child, *command)
        except OSError as fault:
            raise RetryableError(f"No process for a heavy operation could be started: {fault}", code="worker_died") from fault
        is_ready = False
        try:
            is_ready = await child.hear() is not None
        finally:
            if not is_ready:
                await child.end()
        if not is_ready:
            raise _tell_death("the loading of operations", child.code)
        return child

    async def close(self) -> None:
        """Ends the processes, which have nothing to do any more."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(child.end() for child in idle))


class _Child(asyncio.SubprocessProtocol):
    """One process, and the messages to and from it."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._messages: asyncio.Queue[JsonObject | None] = asyncio.Queue()
        self._exited = asyncio.Event()
        self._is_mute = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            logger.info("A heavy operation printed.", text=data.decode(errors="replace")[:_SHOWN_CHARACTERS])
            return
        self._received += data
        if len(self._received) < LENGTH.size:
            return
        end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
        if len(self._received) >= end:
            message = bytes(self._received[LENGTH.size : end])
            del self._received[:end]
            self._messages.put_nowait(cast("JsonObject", decode(message)))

    def pipe_connection_lost(self, fd: int, _fault: Exception | None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if fd == 1:
            self._is_mute = True
            self._messages.put_nowait(None)

    def process_exited(self) -> None:
        self._exited.set()

    def connection_lost(self, _fault: Exception | None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        # Also where whoever waited for the end was cancelled meanwhile.
        self._transport.close()

    @property
    def code(self) -> int | None:
        """How the process ended: its exit code, or the signal's number below zero. None: it lives."""
        return self._transport.get_returncode()

    async def call(self, message: bytes) -> JsonObject | None:
        pipe = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        pipe.write(message)
        return await self.hear()

    async def hear(self) -> JsonObject | None:
        """The next message, None if none will come."""
        return await self._messages.get()

    async def end(self) -> None:
        """Tells the process to end, and ends it if it does not."""
        try:
            if not self._is_mute:
                self._send(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(_KILL_AFTER_S):
                    await self._exited.wait()
        finally:
            self._send(signal.SIGKILL)
        await self._exited.wait()
        self._transport.close()

    def _send(self, number: signal.Signals) -> None:
        if not self._exited.is_set():
            self._transport.send_signal(number)


def _tell_death(what: str, code: int | None) -> FatalError | RetryableError:
    if code == -signal.SIGABRT:
        # How libraries in Rust and C++ end their process when they get no memory.
        message = (
            f"The process of {what} ended itself, most likely for want of memory; split the data, or raise LIMIT_PARSER_MEM."
        )
        return FatalError(message, code="parser_limit")
    how = f"by the signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"with the code {code}"
    return RetryableError(f"The process of {what} ended {how} before there was a result.", code="worker_died")


def _read_reply(reply: JsonObject, write_line: WriteLine) -> tuple[str, JsonValue]:
    for line in cast("list[list[JsonValue]]", reply["log"]):
        at, level, message, fields = line
        write_line(cast("int", at), str(level), str(message), cast("JsonObject", decode(str(fields).encode())))
    fault = cast("JsonObject | None", reply.get("fault"))
    if fault is None:
        return str(reply["port"]), reply["output"]
    code, message = str(fault["code"]), str(fault["message"])
    if fault["fatal"] is True:
        raise FatalError(message, code=code, details=fault["details"])
    after_ms = cast("int | None", fault["after_ms"])
    by_default, postpones = fault["by_default"] is True, fault["postpones"] is True
    raise RetryableError(
        message, code=code, details=fault["details"], after_ms=after_ms, by_default=by_default, postpones=postpones
    )
