"""Runs JavaScript with quickjs-ng: one realm for one script, nothing kept for the next.

No function of Python is reachable from the realm. What the script asks for it leaves in its own memory; this side looks after each turn.
"""

import ctypes
import json
import re
import time
from importlib import import_module
from typing import Any, Final

from flowforge.kit.sandbox.child.channel import Channel, Fault, Task

_STACK_BYTES: Final = 2**20
_SPARE_BYTES: Final = 2**20
"""For telling the end of a script that used its memory up."""
_GRACE_S: Final = 0.2
"""For telling the end of a script that used its time up."""
_PREFIX: Final = '"use strict";(async function () {\n'
_SUFFIX: Final = "\n})"
_FRAME: Final = re.compile(r"<input>:(\d+):(\d+)")
_ENDED: Final = {
    "script_timeout": "The script ran longer than the limit of computing time.",
    "script_memory": "The script needs more memory than the limit.",
    "script_stack": "The script calls itself too deeply.",
}

_engine: Any = import_module("_quickjs")  # not quickjs, whose import starts a thread


class _HeapInformation(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in ("arena", *(f"other{number}" for number in range(9))))


class Heap:
    """How much memory the process ever had in use.

    An engine that has no memory left has none for an error object either: it throws null, as a script may do. Only a heap that never
    shrinks tells the two apart. Without glibc it tells nothing.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._ask: Any = getattr(library, "mallinfo2", None)
        if self._ask is None:
            return
        self._ask.restype = _HeapInformation
        library.mallopt(-3, 2**30)  # M_MMAP_THRESHOLD: all in one heap
        library.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: which never shrinks
        self._base = self._measure()

    def _measure(self) -> int:
        return 0 if self._ask is None else self._ask().arena

    def has_held(self, size: int) -> bool:
        return self._ask is not None and self._measure() - self._base >= size


def read_prelude(path: str) -> str:
    """The prelude in one line, so that the lines of a stack tell whose they are."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes 4 ms to import
        lines = [line.strip() for line in file]
    return " ".join(line for line in lines if not line.startswith("//"))


class JavaScript:
    """Made once for a process, before it is locked down."""

    def __init__(self, folder: str) -> None:
        self._prelude = read_prelude(f"{folder}/prelude.js")
        self._heap = Heap()
        self.prepare()

    def prepare(self) -> None:
        """Makes the realm of the next script, while there is time."""
        context = _engine.Context()
        context.set_max_stack_size(_STACK_BYTES)
        self._realm = context, context.eval(self._prelude)

    def run(self, task: Task, channel: Channel) -> str:
        """The last message: the result without its closing brace, or a fault."""
        context, bridge = self._realm
        return _Run(task, channel, self._heap, context, bridge).finish()

    def is_spent(self, task: Task) -> bool:
        """Whether a script has left the heap so large that the next one could not be judged by it."""
        return self._heap.has_held(task.memory_bytes // 2)


class _Run:
    def __init__(self, task: Task, channel: Channel, heap: Heap, context: Any, bridge: Any) -> None:
        self._task = task
        self._channel = channel
        self._heap = heap
        self._deadline = time.process_time() + task.cpu_s
        self._under_way = 0
        self._context = context
        self._bridge = bridge
        self._context.set_memory_limit(task.memory_bytes)

    def finish(self) -> str:
        try:
            script = self._compile()
            if self._task.is_check:
                return '{"result":null'
            self._start(script)
            self._drive()
            return self._read_result()
        except _engine.JSException as thrown:
            self._tell_last_words()
            raise self._judge(str(thrown)) from None

    def _start(self, script: Any) -> None:
        self._limit_time()
        self._bridge("start", script, self._task.input_text, json.dumps(self._task.context))

    def _compile(self) -> Any:
        if "\0" in self._task.source:
            raise Fault("script_syntax", "The source holds a NUL character, so it is no text")
        self._limit_time()
        try:
            return self._context.eval(f"{_PREFIX}{self._task.source}{_SUFFIX}")
        except _engine.JSException as thrown:
            message = str(thrown)
            if not message.startswith("SyntaxError"):
                raise
            line, column = self._find_place(message)
            raise Fault("script_syntax", _first_line(message), line=line, column=column) from None

    def _drive(self) -> None:
        """Turn after turn, until the script has settled and all calls that it began have ended."""
        while True:
            self._run_jobs()
            self._flush()
            if self._under_way > 0:
                self._limit_time()
                self._bridge("settle", self._channel.receive())
                self._under_way -= 1
            elif self._bridge("state") != "pending":
                return
            elif self._has_filled_memory():
                raise Fault("script_memory", _ENDED["script_memory"])
            else:
                raise Fault("script_unsettled", "The script waits for a promise that nothing will settle.")

    def _run_jobs(self) -> None:
        self._limit_time()
        while self._context.execute_pending_job():
            if time.process_time() > self._deadline:
                self._tell_last_words()
                raise Fault("script_timeout", _ENDED["script_timeout"])

    def _limit_time(self) -> None:
        self._context.set_time_limit(max(self._deadline - time.process_time(), 0.001))

    def _flush(self) -> None:
        for frame in self._bridge("drain").split("\n")[:-1]:
            self._under_way += frame.startswith('{"call"')
            self._channel.send(frame)

    def _read_result(self) -> str:
        self._limit_time()
        if self._bridge("state") == "done":
            result = self._bridge("finish", self._task.depth_max, self._task.output_max_bytes)
            self._flush()  # a getter may log
            if result.startswith('{"result"'):
                return result
            if result:
                told = json.loads(result)
                raise Fault(told["fault"], f"The script's result cannot be read as JSON: {told['message']}.")
            raise self._describe("script_result")
        raise self._describe("script_error")

    def _describe(self, code: str) -> Fault:
        """The fault for what the script threw."""
        told = json.loads(self._bridge("describe"))
        kind, message = told["kind"], told["message"]
        if kind == "nothing":
            kind = "script_memory" if self._has_filled_memory() else "script_error"
        if kind != "script_error":
            return Fault(kind, _ENDED[kind])
        line, column = self._find_place(told["stack"])
        if code == "script_result":
            message = f"Reading the script's result threw {message}"
        return Fault(code, message, line=line, column=column, call=told["call"])

    def _judge(self, message: str) -> Fault:
        """The fault for what the engine threw at this side."""
        if message.startswith("InternalError: interrupted"):
            return Fault("script_timeout", _ENDED["script_timeout"])
        if message.startswith(("InternalError", "null")):
            return Fault("script_memory", _ENDED["script_memory"])
        if "Maximum call stack size exceeded" in message:
            return Fault("script_stack", _ENDED["script_stack"])
        return Fault("script_error", _first_line(message))

    def _has_filled_memory(self) -> bool:
        return self._heap.has_held(self._task.memory_bytes * 3 // 4)

    def _tell_last_words(self) -> None:
        """What the script logged before it was ended."""
        self._context.set_memory_limit(self._task.memory_bytes + _SPARE_BYTES)
        self._context.set_time_limit(_GRACE_S)
        try:
            self._flush()
        except _engine.JSException:
            self._channel.send('{"log":[],"truncated":true}')

    def _find_place(self, stack: str) -> tuple[int | None, int | None]:
        """Line and column in the script's source; line 1 is the prelude's."""
        last = self._task.source.count("\n") + 1
        for line, column in _FRAME.findall(stack):
            if int(line) > 1:
                return min(int(line) - 1, last), int(column)
        return None, None


def _first_line(message: str) -> str:
    return message.partition("\n")[0][:1000]
