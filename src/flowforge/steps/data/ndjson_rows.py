"""NDJSON: one JSON value on each line, in UTF-8 (the same as JSON Lines). Blank lines are left out."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final

import orjson

from flowforge.kit.border import JsonRefusedError, decode_untrusted
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError

_LIMITS: Final = Limits()
_BLOCK_BYTES: Final = 2**20
BATCH_BYTES: Final = 2**18
"""What is gathered before it is written."""
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")
_BLANK: Final = b" \t\r"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_ndjson(stream: BinaryIO) -> Iterator[JsonValue]:
    """The values of the lines.

    Raises:
        FatalError: a line is no JSON, or none that can be held exactly: `json_invalid`, `number_range`, `json_depth`, `json_keys`,
            `encoding`, `body_too_large`; the message and the details have the line.
    """
    number = 1
    for block in _read_blocks(stream):
        is_plain = _LONG_NUMBER.search(block) is None
        for line in block.split(b"\n"):
            if line.strip(_BLANK):
                yield _read_plain_line(line, number) if is_plain else _read_line(line, number)
            number += 1


def _read_plain_line(line: bytes, number: int) -> JsonValue:
    """The value of a line without a long number. Depth and keys cannot be beyond their bounds in most, and looking at each costs."""
    if len(line) >= _LIMITS.json_keys or line.count(b"[") + line.count(b"{") > _LIMITS.json_depth:
        return _read_line(line, number)
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return _read_line(line, number)


def _read_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of whole lines, without the line end of the last one."""
    rest = stream.read(_BLOCK_BYTES).removeprefix(_BYTE_ORDER_MARK)
    number = 1
    while block := stream.read(_BLOCK_BYTES):
        end = block.rfind(b"\n")
        if end >= 0:
            whole = rest + block[:end]
            rest = block[end + 1 :]
            number += whole.count(b"\n") + 1
            yield whole
        else:
            rest += block
        if len(rest) > _LIMITS.body_max_bytes + _BLOCK_BYTES:
            raise _fail(number + rest.count(b"\n"), "it is larger than 10 MiB", "body_too_large")
    if rest:
        yield rest


def _read_line(line: bytes, number: int) -> JsonValue:
    try:
        return decode_untrusted(line, _LIMITS)
    except JsonRefusedError as error:
        told = error.message.replace(", line 1, column", ", column").rstrip(".")
        raise _fail(number, f"{told[0].lower()}{told[1:]}", error.reason) from None


def _fail(number: int, told: str, code: str) -> FatalError:
    return FatalError(f"Line {number} of the NDJSON cannot be read: {told}.", code=code, details={"line": number})


def write_ndjson(write: Callable[[bytes], object], rows: Iterable[JsonValue]) -> None:
    """Writes each row on a line. Raises whatever `rows` raises."""
    batch: list[bytes] = []
    size_bytes = 0
    for row in rows:
        line = orjson.dumps(row, None, orjson.OPT_APPEND_NEWLINE)
        batch.append(line)
        size_bytes += len(line)
        if size_bytes >= BATCH_BYTES:
            write(b"".join(batch))
            batch.clear()
            size_bytes = 0
    if batch:
        write(b"".join(batch))
