"""Structured logs: a message, named fields, and the ids of the run and step at work.

Who logs only puts a finished line on a bounded queue; a thread writes it. Where the reader of our output has stopped, lines are dropped
and counted, and runs go on. The standard library's logging carries the records, so that other packages' lines take the same way.
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Generator
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Protocol, Self

from flowforge.kit.masking import Masker
from flowforge.kit.telemetry.rendering import render_console, render_json
from flowforge.kit.values import JsonObject, JsonValue

ROOT_NAME: Final = "flowforge"
QUEUE_LINES: Final = 10_000

_FIELDS: Final = "flowforge_fields"
bound_fields: ContextVar[JsonObject] = ContextVar("bound_log_fields", default={})  # noqa: B039 (replaced as a whole, never changed)
"""Fields of every line that this task writes; `bind_log_fields` adds some, `origins.Working` sets all."""


@contextlib.contextmanager
def bind_log_fields(**fields: JsonValue) -> Generator[None]:
    """Add fields to every line that this task writes inside the `with`: `bind_log_fields(run_id=…, step=…)`."""
    token = bound_fields.set({**bound_fields.get(), **fields})
    try:
        yield
    finally:
        bound_fields.reset(token)


class Logger:
    """Writes lines under a name below `flowforge`. A message is constant text; what varies goes into fields."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{ROOT_NAME}.{name}")

    def debug(self, message: str, **fields: JsonValue) -> None:
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: JsonValue) -> None:
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: JsonValue) -> None:
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: JsonValue) -> None:
        self._write(logging.ERROR, message, fields)

    def exception(self, message: str, **fields: JsonValue) -> None:
        """An error line with the trace of the exception that is being handled; for supervisors."""
        self._write(logging.ERROR, message, fields, with_trace=True)

    def _write(self, level: int, message: str, fields: JsonObject, *, with_trace: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            bound = bound_fields.get()
            self._logger.log(level, message, exc_info=with_trace, extra={_FIELDS: {**bound, **fields} if bound else fields})


def get_logger(name: str) -> Logger:
    """The logger of a module, like `get_logger("engine")`; may be made at import, before logging starts."""
    return Logger(name)


class LogOutput(Protocol):
    """Where finished lines go. `write` may block; only the pipe's thread calls it."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class LogPipe(logging.Handler):
    """The queue and the thread between those who log and the output. Made by `start_logging`; `close` writes what is left."""

    def __init__(self, output: LogOutput, render: Callable[[logging.LogRecord, JsonObject], str], masker: Masker) -> None:
        super().__init__()
        self._output = output
        self._render = render
        self._masker = masker
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUE_LINES)
        self._told_dropped = 0
        self._is_closed = False
        self.dropped = 0
        """Lines that were lost because the output stood still."""
        self.describe_process: Callable[[], JsonObject] = dict
        """Fields that every line of this process begins with, asked anew for each: called from any thread, so it only reads."""
        self._thread = threading.Thread(target=self._write_lines, name="flowforge-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Render and queue one record; called by the standard library under this handler's lock."""
        fields: JsonObject = {**self.describe_process(), **getattr(record, _FIELDS, {})}
        try:
            self._lines.put_nowait(self._render(record, fields))
        except queue.Full:
            self.dropped += 1

    def _write_lines(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write(line)
            if self._lines.empty():
                self._tell_dropped()
        self._tell_dropped()

    def _write(self, line: str) -> None:
        # An output that is gone (closed pipe, full disk) must not end the thread: the next line may pass.
        try:
            self._output.write(self._masker.mask(line).encode("utf-8", "replace"))
        except OSError:
            self.dropped += 1

    def _tell_dropped(self) -> None:
        lost = self.dropped - self._told_dropped
        if lost:
            self._told_dropped = self.dropped
            record = logging.LogRecord(f"{ROOT_NAME}.log", logging.WARNING, "", 0, "log lines were dropped", (), None)
            self._write(self._render(record, {"dropped": lost}))

    def flush_and_stop(self, timeout_s: float = 1.0) -> None:
        """Take this pipe out of logging and write what is queued, for at most `timeout_s` seconds. May be called again."""
        logging.getLogger().removeHandler(self)
        logging.getLogger(ROOT_NAME).setLevel(logging.NOTSET)
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._output.close()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self.flush_and_stop()


def start_logging(output: LogOutput, *, level: str, masker: Masker, is_console: bool, has_colour: bool = False) -> LogPipe:
    """Send every line of this process of `level` (debug, info, warning, error) and above to `output`, until the pipe is stopped.

    Other packages are heard from `warning` on, or from `level` where that is higher.
    """
    if is_console:
        pipe = LogPipe(output, lambda record, fields: render_console(record, fields, has_colour=has_colour), masker)
    else:
        pipe = LogPipe(output, render_json, masker)
    number = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    root.addHandler(pipe)
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger(ROOT_NAME).setLevel(number)
    return pipe
