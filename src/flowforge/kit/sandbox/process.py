"""One process of scripts, as FlowForge sees it: its start, the messages to and from it, and its end.

What comes from the process is untrusted: a message is bounded before it is kept.
"""

import asyncio
import os
import shutil
import signal
import sys
import sysconfig
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, cast

from flowforge.kit.border import encode
from flowforge.kit.sandbox.errors import SandboxError, SandboxFault
from flowforge.kit.sandbox.frames import LENGTH, pack_frame
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject

_BOOT: Final = (
    "import json, sys; given = json.loads(sys.argv[1]); sys.path[:] = given['path']; "
    "from flowforge.kit.sandbox.child.main import Boot, serve; serve(Boot(**given['boot']))"
)
_START_S: Final = 30.0
_SHOWN_CHARACTERS: Final = 2_000

logger = get_logger("kit.sandbox")


class Process(asyncio.SubprocessProtocol):
    """Made by `start_process`. `scripts` counts those that it has run."""

    def __init__(self, message_max_bytes: int) -> None:
        self._message_max_bytes = message_max_bytes
        self._received = bytearray()
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._exited = asyncio.Event()
        self._said = ""
        self.scripts = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            self._said = (self._said + data.decode(errors="replace"))[-_SHOWN_CHARACTERS:]
            return
        self._received += data
        while len(self._received) >= LENGTH.size:
            size = LENGTH.unpack_from(self._received)[0]
            if size > self._message_max_bytes:
                self._received.clear()
                self.kill()  # it does not keep to the protocol, and has nothing more to say
                self._messages.put_nowait(b"")
                return
            if len(self._received) < LENGTH.size + size:
                return
            self._messages.put_nowait(bytes(self._received[LENGTH.size : LENGTH.size + size]))
            del self._received[: LENGTH.size + size]

    def pipe_connection_lost(self, fd: int, _fault: Exception | None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if fd == 1:
            self._messages.put_nowait(None)

    def process_exited(self) -> None:
        self._exited.set()

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def is_alive(self) -> bool:
        return not self._exited.is_set()

    def send(self, text: bytes) -> None:
        pipe = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        pipe.write(pack_frame(text))

    async def hear(self) -> bytes | None:
        """The next message, as untrusted bytes; None if none will come."""
        return await self._messages.get()

    @property
    def has_more(self) -> bool:
        """Whether a message waits that nobody asked for."""
        return bool(self._received) or not self._messages.empty()

    def kill(self) -> None:
        """Ends it at once, with the processes below it."""
        if self._exited.is_set():
            return
        # It may have ended by itself meanwhile.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self) -> int:
        """Ends it and waits; the exit code, or the signal's number below zero."""
        self.kill()
        await self._exited.wait()
        self._transport.close()
        if self._said:
            logger.debug("A process of scripts wrote to its standard error.", text=self._said)
        return self._transport.get_returncode() or 0

    async def wait(self) -> int:
        """Waits until it has ended by itself, which is about to happen."""
        await self._exited.wait()
        return await self.end()


async def start_process(language: str, memory_bytes: int, message_max_bytes: int) -> Process:
    """A process that is ready for its first script.

    Raises:
        SandboxError: `not_installed`, or `script_crashed` when it could not be started.
    """
    boot: JsonObject = {
        "language": language,
        "folder": str(Path(__file__).parent / "child"),
        "parent": os.getpid(),
        "memory_bytes": memory_bytes,
        "worker_program": find_python_worker() if language == "python" else None,
    }
    given = encode({"path": [path for path in sys.path if path], "boot": boot})
    command = [sys.executable, "-I", "-S", "-c", _BOOT, given.decode()]
    loop = asyncio.get_running_loop()
    try:
        _, process = await loop.subprocess_exec(
            lambda: Process(message_max_bytes), *command, env={}, cwd="/", close_fds=True, start_new_session=True
        )
    except OSError as fault:
        raise SandboxError(SandboxFault.CRASHED, f"No process for a script could be started: {fault}") from fault
    await _await_ready(process)
    return process


async def _await_ready(process: Process) -> None:
    is_ready = False
    try:
        async with asyncio.timeout(_START_S):
            is_ready = await process.hear() == b'{"ready":true}'
    except TimeoutError as fault:
        raise SandboxError(SandboxFault.CRASHED, "The process of scripts did not start in time.") from fault
    finally:
        if not is_ready:
            await process.end()
    if not is_ready:
        raise SandboxError(SandboxFault.CRASHED, "The process of scripts ended before its first script.")


def find_python_worker() -> str:
    """The program that interprets Python scripts.

    Raises:
        SandboxError: `not_installed`: it comes with an extra.
    """
    if find_spec("pydantic_monty") is not None:
        folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", f"{os.name}_user")]
        for folder in folders:
            if (program := Path(folder) / "monty").is_file():
                return str(program)
        if found := shutil.which("monty"):
            return found
    raise SandboxError(
        SandboxFault.NOT_INSTALLED, "Scripts in Python are not installed here: run `pip install 'flowforge[python-scripts]'`."
    )
