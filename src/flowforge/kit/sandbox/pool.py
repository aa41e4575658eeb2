"""Runs scripts, each in a process that reaches nothing; processes are kept warm and used again."""

import asyncio
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from flowforge.kit.border import encode
from flowforge.kit.limits import Limits
from flowforge.kit.sandbox.conversation import Conversation, WriteLog
from flowforge.kit.sandbox.errors import SandboxError, SandboxFault
from flowforge.kit.sandbox.frames import HEAD_ROOM_BYTES
from flowforge.kit.sandbox.host import HostFunctions
from flowforge.kit.sandbox.process import Process, start_process
from flowforge.kit.values import JsonObject, JsonValue

Language = Literal["javascript", "python"]

SCRIPTS_PER_PROCESS: Final = 200
JSONATA_MEMORY_BYTES: Final = 64 * 2**20
_COPIES: Final = 4
"""How often a process may hold its largest message at once: as bytes, as text, and in the engine."""
_EXACT_MAX: Final = 2**53 - 1
_MAY_BE_BEYOND: Final = re.compile(rb"[0-9]{16}")


@dataclass(frozen=True, slots=True)
class Script:
    """Code that a user wrote. `context`: what the script finds under this name."""

    language: Language
    source: str
    input: JsonValue = None
    context: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


def _write_nothing(level: str, message: str, fields: JsonObject) -> None:
    del level, message, fields


class SandboxPool:
    """At most `size` scripts at once (as many as there are cores); others wait for their turn. Close it with `aclose`.

    A process runs one script after another: of JavaScript each gets a realm of its own, of Python a session. It is thrown away after 200
    scripts, and whenever a script ended by a limit or by its death.
    """

    def __init__(self, limits: Limits, size: int | None = None) -> None:
        self._limits = limits
        self._places = asyncio.Semaphore(size or os.cpu_count() or 1)
        self._idle: defaultdict[str, list[Process]] = defaultdict(list)
        self._warming: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False

    async def run(self, script: Script, host: HostFunctions, write_log: WriteLog) -> JsonValue:
        """The script's result. Cancelled, it ends the process.

        Time: `script_cpu` of computing and `script_wall` in all, from when a process has taken the script.

        Raises:
            SandboxError: see `SandboxFault`; only `script_crashed` is worth another attempt.
            HostFault: a function of the host failed, and the script did not catch it.
        """
        self._check_source(script.source)
        input_text = self._encode_input(script.input, is_exact=script.language != "javascript")
        return await self._run(script.language, script.source, input_text, script.context, host, write_log)

    async def check_javascript(self, source: str) -> SandboxError | None:
        """The fault for which the source is no script (`script_syntax` with line and column, `script_src`), or None; nothing is run.

        Raises:
            SandboxError: the process for it could not be started.
        """
        try:
            self._check_source(source)
            await self._run("javascript", source, b"null", {}, None, _write_nothing, is_check=True)
        except SandboxError as error:
            if error.fault is SandboxFault.CRASHED:
                raise
            return error
        return None

    async def evaluate_jsonata(self, query: str, data: JsonValue) -> JsonValue:
        """The result of a JSONata query; null where it finds nothing. With the limits of a script, but 64 MiB of memory.

        Raises:
            SandboxError: `jsonata_invalid` (with line and column where they are known), `script_timeout`, `script_memory`,
                `script_stack`, `script_result`, `script_src`, `step_in_max`, `step_out_max`, `json_depth`, `script_crashed`.
        """
        self._check_source(query)
        return await self._run("jsonata", query, self._encode_input(data, is_exact=True), {}, None, _write_nothing)

    async def aclose(self) -> None:
        """Ends all processes that have nothing to do. Scripts that run are for their callers to cancel."""
        self._is_closed = True
        warming = list(self._warming.values())
        for task in warming:
            task.cancel()
        await asyncio.gather(*warming, return_exceptions=True)
        idle = [process for processes in self._idle.values() for process in processes]
        self._idle.clear()
        await asyncio.gather(*(process.end() for process in idle))

    def _check_source(self, source: str) -> None:
        size, most = len(source.encode(errors="replace")), self._limits.script_src_bytes
        if size > most:
            raise SandboxError(SandboxFault.SOURCE, f"The source has {size} bytes; a script can have {most} at most.")

    def _encode_input(self, value: JsonValue, *, is_exact: bool) -> bytes:
        text = encode(value)
        if not is_exact and _MAY_BE_BEYOND.search(text):
            text = encode(write_big_numbers(value))
        if len(text) > self._limits.step_in_max_bytes:
            raise SandboxError(
                SandboxFault.INPUT_TOO_LARGE,
                f"The script's input has {len(text)} bytes; it can have {self._limits.step_in_max_bytes} at most.",
            )
        return text

    async def _run(
        self,
        language: str,
        source: str,
        input_text: bytes,
        context: Mapping[str, JsonValue],
        host: HostFunctions | None,
        write_log: WriteLog,
        *,
        is_check: bool = False,
    ) -> JsonValue:
        task: JsonObject = {
            "source": source,
            "context": dict(context),
            "cpu_s": self._limits.script_cpu_ms / 1_000,
            "memory_bytes": self._memory_bytes(language),
            "depth_max": self._limits.json_depth,
            "output_max_bytes": self._limits.step_out_max_bytes,
            "is_check": is_check,
        }
        async with self._places:
            process = await self._find_idle(language) or await self._start(language)
            is_fit = False
            try:
                async with asyncio.timeout(self._limits.script_wall_ms / 1_000):
                    ending = await Conversation(process, self._limits, host, write_log).hold(task, input_text)
                is_fit = not ending.is_spent
            except TimeoutError:
                most_s = self._limits.script_wall_ms / 1_000
                raise SandboxError(SandboxFault.TIMEOUT, f"The script was not done after {most_s:g} seconds.") from None
            finally:
                await self._put_back(language, process, is_fit=is_fit)
        if ending.fault is not None:
            raise ending.fault
        return ending.value

    def _memory_bytes(self, language: str) -> int:
        return JSONATA_MEMORY_BYTES if language == "jsonata" else self._limits.script_mem_bytes

    async def _find_idle(self, language: str) -> Process | None:
        idle = self._idle[language]
        while idle:
            process = idle.pop()
            if process.is_alive and not process.has_more:
                return process
            await process.end()
        return None

    async def _start(self, language: str) -> Process:
        largest = max(self._limits.step_in_max_bytes, self._limits.step_out_max_bytes) + HEAD_ROOM_BYTES
        return await start_process(language, self._memory_bytes(language) + _COPIES * largest, largest)

    async def _put_back(self, language: str, process: Process, *, is_fit: bool) -> None:
        process.scripts += 1
        if is_fit and process.scripts < SCRIPTS_PER_PROCESS and not self._is_closed:
            self._idle[language].append(process)
            return
        if not self._is_closed and not self._idle[language] and language not in self._warming:
            self._warming[language] = asyncio.ensure_future(self._warm(language))
        await process.end()

    async def _warm(self, language: str) -> None:
        """So that the script after one that spoiled its process does not wait for another."""
        try:
            self._idle[language].append(await self._start(language))
        except SandboxError:
            return  # the next script will start one, and tell what is wrong
        finally:
            del self._warming[language]


def write_big_numbers(value: JsonValue) -> JsonValue:
    """The same value with whole numbers beyond 2^53 as text: JavaScript would round them."""
    if isinstance(value, dict):
        return {key: write_big_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [write_big_numbers(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT_MAX:
        return str(value)
    return value
