"""Runs Python with Monty, an interpreter of its own that has neither files nor a network, in a worker process below this one.

The worker inherits what this process has taken from itself before it starts. Host functions are called here: Monty hands the call over.
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import pydantic_monty as monty

from flowforge.kit.sandbox.child.channel import Channel, Fault, Task

_LOG_LIMIT: Final = 64 * 1024
_MESSAGE_CHARACTERS: Final = 1_000
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_LEVELS: Final = ("debug", "info", "warning", "error")
_SUSPENSIONS: Final = 1_000_000
"""Calls of host functions, which are bounded by other means."""
_IMPORTS: Final = "import http\nimport log"
_RECURSION_MAX: Final = 1_000


class Python:
    """Made once for a process: the worker starts here, before this process may start no other."""

    def __init__(self, program: str | None) -> None:
        self._pool = monty.Monty(binary_path=program, min_processes=1, max_processes=1).__enter__()
        with self._pool.checkout() as session:
            session.feed_run("1")
            self.worker = session.worker_pid or 0
        self._is_spent = False

    @property
    def descriptors(self) -> int:
        """How many this process needs from here on."""
        return max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 1

    def prepare(self) -> None:
        """Nothing to do: a session starts in no time."""

    def run(self, task: Task, channel: Channel) -> str:
        """The last message: the result without its closing brace, or a fault."""
        try:
            return _Run(task, channel, self._pool).finish()
        except Fault as fault:
            # The worker is dead, or its memory in no known state.
            self._is_spent = fault.code in {"script_timeout", "script_memory", "script_crashed"}
            raise

    def is_spent(self, task: Task) -> bool:
        del task
        return self._is_spent


class _Run:
    def __init__(self, task: Task, channel: Channel, pool: monty.Monty) -> None:
        self._task = task
        self._channel = channel
        self._pool = pool
        self._calls = 0
        self._failures: dict[str, int] = {}
        self._log_left = _LOG_LIMIT
        self._printed = ""

    def finish(self) -> str:
        limits: monty.ResourceLimits = {
            "max_feed_duration_secs": self._task.cpu_s,
            "max_memory": self._task.memory_bytes,
            "max_recursion_depth": _RECURSION_MAX,
            "max_suspensions": _SUSPENSIONS,
        }
        try:
            with self._pool.checkout(script_name="script.py", limits=limits, external_modules=self._make_modules()) as session:
                session.feed_run(_IMPORTS)
                value = session.feed_run(self._task.source, inputs=self._make_inputs(), print_callback=self._print)
        except monty.MontySyntaxError as fault:
            raise self._place(fault, "script_syntax", f"SyntaxError: {fault}") from None
        except monty.MontyRuntimeError as fault:
            raise self._explain(fault) from None
        except monty.MontyCrashedError as fault:
            raise Fault("script_timeout" if fault.timed_out else "script_crashed", str(fault)) from None
        finally:
            self._flush()
        return f'{{"result":{_Encoder(self._task).encode(value)}'

    def _make_inputs(self) -> dict[str, Any]:
        return {"input": json.loads(self._task.input_text), "context": self._task.context}

    def _make_modules(self) -> dict[str, monty.ExternalModule]:
        methods: dict[str, Any] = {name: self._make_method(name.upper()) for name in _METHODS}
        methods["request"] = self._call
        return {
            "http": monty.ExternalModule(methods),
            "log": monty.ExternalModule({level: self._make_logger(level) for level in _LEVELS}),
        }

    def _make_method(self, method: str) -> Callable[..., Any]:
        def call(url: str, **options: Any) -> Any:
            return self._call(method, url, **options)

        return call

    def _call(self, method: str, url: str, **options: Any) -> Any:
        self._flush()
        encoder = _Encoder(self._task)
        try:
            given = f'"method":{encoder.encode(method)},"url":{encoder.encode(url)},"options":{encoder.encode(options)}'
        except Fault as fault:
            raise TypeError(fault.message.replace("The script's result", "An argument of http")) from None
        self._calls += 1
        self._channel.send(f'{{"call":{self._calls},{given}}}')
        answer = json.loads(self._channel.receive())
        error = answer.get("error")
        if error is None:
            return answer["value"]
        message = f"{error['code']}: {error['message']}"
        self._failures[message] = self._calls
        raise OSError(message)

    def _make_logger(self, level: str) -> Callable[..., None]:
        def write(message: object, **fields: object) -> None:
            self._flush()
            encoder = _Encoder(self._task)
            try:
                encoded = encoder.encode(fields)
            except Fault as fault:
                encoded = json.dumps({"fields": fault.message})
            self._log(level, message if isinstance(message, str) else repr(message), encoded)

        return write

    def _print(self, stream: str, text: str) -> None:
        """Collects whole lines."""
        del stream
        if self._log_left > 0:
            self._printed += text
        if len(self._printed) > _LOG_LIMIT or "\n" in text:
            self._flush(keeps_open_line=True)

    def _flush(self, *, keeps_open_line: bool = False) -> None:
        *lines, open_line = self._printed.split("\n")
        self._printed = open_line if keeps_open_line and len(open_line) <= _LOG_LIMIT else ""
        if open_line and not self._printed:
            lines.append(open_line)
        for line in lines:
            self._log("info", line, "{}")

    def _log(self, level: str, message: str, fields: str) -> None:
        size = len(message) + len(fields)
        if self._log_left <= 0:
            return
        is_cut = size > self._log_left
        if is_cut:
            message, fields = message[: self._log_left], "{}"
        self._log_left -= size
        line = f"[{json.dumps(level)},{json.dumps(message)},{fields}]"
        self._channel.send(f'{{"log":[{line}],"truncated":{"true" if is_cut else "false"}}}')

    def _explain(self, fault: monty.MontyRuntimeError) -> Fault:
        error = fault.exception()
        message = str(fault)[:_MESSAGE_CHARACTERS]
        if isinstance(error, TimeoutError) and "feed time limit exceeded" in message:
            return Fault("script_timeout", "The script ran longer than the limit of computing time.")
        if isinstance(error, MemoryError):
            return Fault("script_memory", "The script needs more memory than the limit.")
        if isinstance(error, RecursionError):
            return Fault("script_stack", "The script calls itself too deeply.")
        placed = self._place(fault, "script_error", message)
        placed.call = self._failures.get(str(error))
        return placed

    def _place(self, fault: monty.MontySyntaxError | monty.MontyRuntimeError, code: str, message: str) -> Fault:
        frames = fault.traceback()
        line, column = (frames[-1].line, frames[-1].column) if frames else (None, None)
        return Fault(code, message[:_MESSAGE_CHARACTERS], line=line, column=column)


class _Encoder:
    """JSON text of what a script gives; dates become RFC 3339 (without a time zone they count as UTC), tuples arrays."""

    def __init__(self, task: Task) -> None:
        self._depth_max = task.depth_max
        self._left = task.output_max_bytes

    def encode(self, value: object) -> str:
        try:
            text = json.dumps(self._convert(value, self._depth_max), allow_nan=False)
        except ValueError:
            raise Fault("script_result", "The script's result cannot be read as JSON: nan and inf are no JSON.") from None
        self._left -= len(text)
        if self._left < 0:
            raise Fault("step_out_max", "The script's result cannot be read as JSON: it is too large.")
        return text

    def _convert(self, value: object, depth: int) -> object:
        if value is None or isinstance(value, (str, bool, int, float)):
            return value
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat().replace("+00:00", "Z")
        if isinstance(value, date):
            return value.isoformat()
        if depth == 0:
            raise Fault("json_depth", "The script's result cannot be read as JSON: it is nested too deeply.")
        if isinstance(value, (list, tuple)):
            return [self._convert(item, depth - 1) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            return {
                self._check_key(key): self._convert(item, depth - 1) for key, item in cast("dict[object, object]", value).items()
            }
        return _refuse(f"a value of the type {_name_type(value)} is no JSON")

    def _check_key(self, key: object) -> str:
        return key if isinstance(key, str) else _refuse(f"a key of the type {_name_type(key)} is no JSON")


def _name_type(value: object) -> str:
    return value.name if isinstance(value, monty.MontyClassProxy) else type(value).__name__


def _refuse(what: str) -> NoReturn:
    raise Fault("script_result", f"The script's result cannot be read as JSON: {what}.")
