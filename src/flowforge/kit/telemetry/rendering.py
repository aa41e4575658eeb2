"""A log record as one line: JSON for machines, aligned text for a terminal."""

import logging
import traceback
from datetime import UTC, datetime
from typing import Final

import orjson

from flowforge.kit.values import JsonObject

_RESERVED: Final = frozenset({"time", "level", "logger", "message", "exception"})
_COLOURS: Final = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "31"}


def render_json(record: logging.LogRecord, fields: JsonObject) -> str:
    """One JSON object: time (RFC 3339, UTC, ms), level, logger, message, then the fields; one of a reserved name gets a `_` behind it."""
    line: dict[str, object] = {
        "time": _format_time(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _read_message(record),
    }
    line.update((name + "_" if name in _RESERVED else name, value) for name, value in fields.items())
    trace = _format_trace(record)
    if trace:
        line["exception"] = trace
    try:
        return orjson.dumps(line, default=repr).decode() + "\n"
    except TypeError:
        # Fields may hold what JSON cannot, like half of a surrogate pair from a broken input.
        return orjson.dumps({name: ascii(value) for name, value in line.items()}).decode() + "\n"


def render_console(record: logging.LogRecord, fields: JsonObject, *, has_colour: bool) -> str:
    """`12:00:01.250 info    run finished  run_id=… status=completed`."""
    level = record.levelname.lower()
    shown = f"\x1b[{_COLOURS.get(level, '0')}m{level:<7}\x1b[0m" if has_colour else f"{level:<7}"
    parts = [f"{_format_time(record)[11:23]} {shown} {_escape(_read_message(record))}"]
    if fields:
        parts.append(" ".join(f"{name}={_show(value)}" for name, value in fields.items()))
    trace = _format_trace(record)
    return "  ".join(parts) + "\n" + (f"{trace}\n" if trace else "")


def _read_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # Another package's text does not fit its arguments; logging must not fail who logs.
        return str(record.msg)


def _format_time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _format_trace(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return "".join(traceback.format_exception(*record.exc_info)).rstrip()


def _show(value: object) -> str:
    if isinstance(value, str):
        escaped = _escape(value)
        return escaped if escaped and " " not in escaped else f'"{escaped}"'
    try:
        return _escape(orjson.dumps(value, default=repr).decode())
    except TypeError:
        return ascii(value)


def _escape(text: str) -> str:
    # A terminal obeys control characters: data from outside must not move the cursor or forge a line.
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
