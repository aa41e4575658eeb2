"""Values as they come on the command line: JSON, files, paths, lengths of time."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flowforge.entrypoints.cli.failures import UsageError
from flowforge.kit.border import JsonRefusedError, decode_untrusted
from flowforge.kit.limits import Limits
from flowforge.kit.units import parse_duration
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.language.times import TimeFault, parse_timestamp_ms
from flowforge.workflows.types import Source

STDIN: Final = "-"


def read_bytes(name: str) -> bytes:
    """The bytes of a file, or of stdin for `-`.

    Raises:
        UsageError: it cannot be read.
    """
    if name == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as fault:
        raise UsageError(f"The file {name} cannot be read: {fault.strerror or fault}.") from fault


def write_file(name: str | Path, data: bytes) -> None:
    """Writes a file, and the folders on the way to it.

    Raises:
        UsageError: it cannot be written.
    """
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as fault:
        raise UsageError(f"The file {path} cannot be written: {fault.strerror or fault}.") from fault


def read_source(name: str) -> Source:
    """A document from a file; `.json` says that it is JSON, everything else is YAML (which JSON is too)."""
    is_json = name.lower().endswith(".json")
    return Source(read_bytes(name), DocumentFormat.JSON if is_json else DocumentFormat.YAML)


def read_json(text: str, limits: Limits, option: str) -> JsonValue:
    """A value given as JSON, as `@FILE`, or as `-` for stdin.

    Raises:
        UsageError: it is no JSON, or the file cannot be read; names the option.
    """
    if text == STDIN:
        data = read_bytes(STDIN)
    elif text.startswith("@"):
        data = read_bytes(text[1:])
    else:
        data = _check_unicode(text, option).encode()
    try:
        return decode_untrusted(data, limits)
    except JsonRefusedError as fault:
        raise UsageError(f"{option}: {fault.message}") from fault


def _check_unicode(text: str, option: str) -> str:
    """The text of an argument; bytes that the terminal's encoding does not know stand in it as halves of surrogate pairs."""
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise UsageError(f"{option}: {text!a} is no text in the encoding of this terminal; give it in UTF-8, or in a file.")
    return text


def read_loose(text: str, limits: Limits) -> JsonValue:
    """A value that is JSON where it can be read as such, and text otherwise: `3`, `true`, `{"a": 1}`, `plain words`.

    Raises:
        UsageError: it is no text.
    """
    try:
        return decode_untrusted(_check_unicode(text, "The value").encode(), limits)
    except JsonRefusedError:
        return text


def read_pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """`name=value`, each.

    Raises:
        UsageError: one of them is of another form, or no text.
    """
    pairs: dict[str, str] = {}
    for text in given:
        _check_unicode(text, option)
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"{option} wants name=value, not {text!r}.")
        pairs[name] = value
    return pairs


def set_paths(value: JsonValue, given: Sequence[str], limits: Limits) -> JsonValue:
    """The value with `path=value` applied, each path of names joined by dots; objects on the way are made.

    Raises:
        UsageError: a path leads through something that is no object.
    """
    for path, text in read_pairs(given, "--set").items():
        value = set_value(value, path, read_loose(text, limits), "--set")
    return value


def set_value(value: JsonValue, path: str, leaf: JsonValue, option: str) -> JsonValue:
    """The value with the leaf at the path of names joined by dots; objects on the way are made.

    Raises:
        UsageError: the path leads through something that is no object.
    """
    return _set_path(value, path.split("."), leaf, f"{option} {path}")


def _set_path(value: JsonValue, names: list[str], leaf: JsonValue, option: str) -> JsonValue:
    if not names:
        return leaf
    if value is not None and not isinstance(value, dict):
        raise UsageError(f"{option}: there is something on the way that is no object.")
    inner: JsonObject = dict(value or {})
    inner[names[0]] = _set_path(inner.get(names[0]), names[1:], leaf, option)
    return inner


def read_duration_ms(text: str, option: str) -> int:
    """Raises UsageError where the text is no duration."""
    try:
        return parse_duration(text)
    except ValueError as fault:
        raise UsageError(f"{option}: {fault}.") from fault


def read_time_ms(text: str, now_ms: int, option: str) -> int:
    """An RFC 3339 time, or a length of time before now (`2h`, `7d`).

    Raises:
        UsageError: the text is neither.
    """
    with contextlib.suppress(TimeFault):
        return parse_timestamp_ms(text)
    with contextlib.suppress(ValueError):
        return now_ms - parse_duration(text)
    raise UsageError(f"{option} wants a time like 2026-03-01T08:00:00Z, or a length of time before now like 2h.")


def read_secret_text(prompt: str) -> str:
    """A value that must not be seen: asked for without echo, or read from stdin (one line end at its end is not part of it)."""
    if sys.stdin.isatty():
        # Only a person is asked.
        from getpass import getpass

        return getpass(prompt)
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")
