"""What is said between FlowForge and the process while one script runs. Whatever the process says is checked."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flowforge.kit.border import JsonRefusedError, check_json, decode_untrusted, encode
from flowforge.kit.limits import Limits
from flowforge.kit.masking import cut_excerpt
from flowforge.kit.sandbox.errors import HostFault, SandboxError, SandboxFault
from flowforge.kit.sandbox.frames import HEAD_ROOM_BYTES
from flowforge.kit.sandbox.host import CALLS_MAX, HostFunctions
from flowforge.kit.sandbox.process import Process
from flowforge.kit.values import JsonObject, JsonValue

LOG_BYTES: Final = 64 * 1024
_LEVELS: Final = frozenset({"debug", "info", "warning", "error"})
_LOG_MESSAGES_MAX: Final = 100_000
_AT_ONCE: Final = 8
"""Host calls of one script that are under way at the same time."""
_ENVELOPE_DEPTH: Final = 4

WriteLog = Callable[[str, str, JsonObject], None]
"""Takes level, message and fields of a line that the script wrote."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a script ended. `fault`: the error to raise, or None. `is_spent`: the process should run no other script."""

    value: JsonValue
    fault: Exception | None
    is_spent: bool


class Conversation:
    """One script in one process."""

    def __init__(self, process: Process, limits: Limits, host: HostFunctions | None, write_log: WriteLog) -> None:
        self._process = process
        self._limits = limits
        self._wire_limits = Limits(
            body_max_bytes=max(limits.step_out_max_bytes, limits.step_in_max_bytes) + HEAD_ROOM_BYTES,
            json_depth=min(limits.json_depth + _ENVELOPE_DEPTH, 200),
            json_keys=limits.json_keys,
        )
        self._host = host
        self._write_log = write_log
        self._log_left = LOG_BYTES
        self._log_messages = 0
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._faults: dict[int, HostFault] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def hold(self, task: Mapping[str, JsonValue], input_text: bytes) -> Ending:
        """Runs the script to its end, whatever that is. Cancelled, it cancels the calls that are under way.

        Raises:
            SandboxError: the process broke the protocol, or ended before the script.
        """
        self._process.send(encode(dict(task)))
        self._process.send(input_text)
        try:
            while True:
                message = self._read(await self._process.hear())
                if message is None:
                    raise await self._explain_death()
                ending = self._take(message)
                if ending is not None:
                    return ending
        finally:
            for call in self._calls.values():
                call.cancel()
            await asyncio.gather(*self._calls.values(), return_exceptions=True)

    def _read(self, data: bytes | None) -> JsonObject | None:
        if data is None:
            return None
        try:
            message = decode_untrusted(data, self._wire_limits)
        except JsonRefusedError as refused:
            raise _explain_refused(refused, data) from None
        if not isinstance(message, dict):
            raise _refuse()
        return message

    def _take(self, message: JsonObject) -> Ending | None:
        match message:
            case {"log": list(lines), "truncated": bool(is_truncated)} if len(message) == 2:
                self._take_log(lines, is_truncated=is_truncated)
                return None
            case {"call": int(number), "method": str(method), "url": url, "options": dict(options)} if len(message) == 4:
                self._take_call(number, method, url, options)
                return None
            case {"result": value, "is_spent": bool(is_spent)} if len(message) == 2:
                return Ending(self._check(value), None, is_spent)
            case {"fault": str(), "message": str(), "is_spent": bool(is_spent)}:
                return Ending(None, self._read_fault(message), is_spent)
            case _:
                raise _refuse()

    def _check(self, value: JsonValue) -> JsonValue:
        try:
            return check_json(value, self._limits)
        except JsonRefusedError as refused:
            raise _explain_value(refused) from None

    def _take_log(self, lines: list[JsonValue], *, is_truncated: bool) -> None:
        self._log_messages += 1
        if self._log_messages > _LOG_MESSAGES_MAX:
            raise _refuse()
        for line in lines:
            match line:
                case [str(level), str(message), dict(fields)] if level in _LEVELS:
                    self._write_line(level, message, fields)
                case _:
                    raise _refuse()
        if is_truncated:
            self._cut_log()

    def _write_line(self, level: str, message: str, fields: JsonObject) -> None:
        if self._log_left <= 0:
            return
        size = len(message.encode()) + len(encode(fields))
        if size > self._log_left:
            message, fields = message.encode()[: self._log_left].decode(errors="ignore"), {}
            self._write_log(level, message, fields)
            self._cut_log()
            return
        self._log_left -= size
        self._write_log(level, message, fields)

    def _cut_log(self) -> None:
        if self._log_left >= 0:
            self._write_log("warning", "The script's log was cut here: it is larger than 64 KiB.", {"truncated": True})
        self._log_left = -1

    def _take_call(self, number: int, method: str, url: JsonValue, options: JsonObject) -> None:
        if self._host is None or number in self._calls or number != len(self._calls) + 1 or number > 2**20:
            raise _refuse()
        self._calls[number] = asyncio.ensure_future(self._call(self._host, number, method, url, options))

    async def _call(self, host: HostFunctions, number: int, method: str, url: JsonValue, options: JsonObject) -> None:
        answer: JsonObject
        try:
            if number > CALLS_MAX:
                said = f"A script can make {CALLS_MAX} calls over HTTP at most."
                raise HostFault("script_calls", said, SandboxError(SandboxFault.ERROR, said))
            async with self._places:
                answer = {"answer": number, "value": await host.request(method, url, options)}
        except HostFault as fault:
            self._faults[number] = fault
            answer = {"answer": number, "error": {"code": fault.code, "message": fault.message}}
        if self._process.is_alive:
            self._process.send(encode(answer))

    def _read_fault(self, message: JsonObject) -> Exception:
        call = message.get("call")
        if isinstance(call, int) and call in self._faults:
            return self._faults[call]
        try:
            code = SandboxFault(str(message["fault"]))
        except ValueError:
            raise _refuse() from None
        text = cut_excerpt(str(message["message"]))
        line, column = _read_number(message.get("line")), _read_number(message.get("column"))
        where = f" (line {line}, column {column})" if line is not None and column is not None else ""
        return SandboxError(code, f"{text.rstrip('.')}{where}.", line=line, column=column)

    async def _explain_death(self) -> SandboxError:
        code = await self._process.wait()
        if code in {-signal.SIGPROF, -signal.SIGXCPU}:
            return SandboxError(SandboxFault.TIMEOUT, "The script ran longer than the limit of computing time.")
        how = f"by the signal {signal.Signals(-code).name}" if code < 0 else f"with the code {code}"
        return SandboxError(SandboxFault.CRASHED, f"The process of the script ended {how}.")


def _refuse() -> SandboxError:
    return SandboxError(SandboxFault.PROTOCOL, "The process of the script said what no script can say; it was ended.")


def _read_number(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None


def _explain_refused(refused: JsonRefusedError, data: bytes) -> SandboxError:
    """What the process sent is no JSON that can be kept. Only of a result this can be the script's doing."""
    if not data.startswith(b'{"result":'):
        return _refuse()
    return _refuse() if refused.reason in {"json_invalid", "body_too_large", "json_type"} else _explain_value(refused)


def _explain_value(refused: JsonRefusedError) -> SandboxError:
    fault = {"json_depth": SandboxFault.DEPTH, "encoding": SandboxFault.ENCODING}.get(refused.reason, SandboxFault.RESULT)
    return SandboxError(fault, f"The script's result cannot be kept: {refused.message[:1].lower()}{refused.message[1:]}")
