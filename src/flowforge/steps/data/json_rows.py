"""A JSON text whose value is a list, read item by item without holding it whole."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final, NoReturn

import orjson

from flowforge.kit.border import JsonRefusedError, decode_untrusted, encode
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError
from flowforge.steps.data.ndjson_rows import BATCH_BYTES

_LIMITS: Final = Limits()
_BLOCK_BYTES: Final = 2**18
_WORD_MAX: Final = 32
"""More than the characters of a literal, an escape or the sign before a number."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SUSPICIOUS: Final = re.compile(r"[0-9]{19}|[eE]\+?[0-9]{3}|\\u[dD][89a-fA-F]")
"""What Python's own reader takes where JSON as we hold it does not: numbers beyond their bounds, halves of surrogate pairs."""


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is no JSON", name, 0)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


class _Text:
    """The part of the text that was read and not yet used up."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._lines_before = 0
        self.text = ""
        self.at = 0
        self.is_ended = False

    def read_more(self) -> None:
        """Drops what was used up, and reads another block."""
        self._lines_before += self.text.count("\n", 0, self.at)
        block = self._stream.read(max(_BLOCK_BYTES, len(self.text) - self.at))
        self.is_ended = not block
        try:
            added = self._decode.decode(block, final=self.is_ended)
        except UnicodeDecodeError as fault:
            before = self.text.count("\n", self.at) + fault.object.count(b"\n", 0, fault.start)
            raise self.fail("a byte is not UTF-8", "encoding", self._lines_before + before + 1) from None
        self.text = self.text[self.at :] + added
        self.at = 0

    def skip_space(self) -> str:
        """The next character that is no space, which stays there; empty at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if self.is_ended:
                return ""
            self.read_more()

    def read_item(self, index: int) -> JsonValue:
        """The value that begins here."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except RecursionError:
                raise self.fail(f"item {index}: the value is nested too deeply", "json_depth") from None
            except json.JSONDecodeError as fault:
                if self._is_cut(fault) and self._may_grow():
                    continue
                raise self._explain(fault, index) from None
            except ValueError:  # Python makes no whole number of thousands of digits
                raise self.fail(f"item {index}: a whole number does not fit into 64 bits", "number_range") from None
            # A number at the end of the block may go on in the next one, also behind `.` or `e+` that are there already.
            if end + 2 < len(self.text) or not self._may_grow():
                return self._take(value, end, index)

    def _is_cut(self, fault: json.JSONDecodeError) -> bool:
        """Whether the fault may come from the end of the block alone: of an open text the place is its beginning."""
        return fault.msg.startswith("Unterminated") or fault.pos > len(self.text) - _WORD_MAX

    def _explain(self, fault: json.JSONDecodeError, index: int) -> FatalError:
        place = max(self.at, fault.pos)
        line = self._lines_before + self.text.count("\n", 0, place) + 1
        return self.fail(f"item {index} is no JSON: {fault.msg}", "json_invalid", line)

    def _may_grow(self) -> bool:
        if self.is_ended:
            return False
        if len(self.text) - self.at > _LIMITS.body_max_bytes:
            raise self.fail("one item is larger than 10 MiB", "body_too_large")
        self.read_more()
        return True

    def _take(self, value: Any, end: int, index: int) -> JsonValue:
        length = end - self.at
        opening = self.text.count("[", self.at, end) + self.text.count("{", self.at, end)
        if length >= _LIMITS.json_keys or opening > _LIMITS.json_depth or _SUSPICIOUS.search(self.text, self.at, end):
            value = self._read_carefully(self.text[self.at : end], index)
        self.at = end
        return value

    def _read_carefully(self, text: str, index: int) -> JsonValue:
        try:
            return decode_untrusted(text.encode(), _LIMITS)
        except JsonRefusedError as error:
            told = error.message.partition(", line ")[0].rstrip(".")
            raise self.fail(f"item {index}: {told[0].lower()}{told[1:]}", error.reason) from None

    def fail(self, told: str, code: str, line: int | None = None) -> FatalError:
        number = line or self._lines_before + self.text.count("\n", 0, self.at) + 1
        return FatalError(f"The JSON cannot be read: {told} (line {number}).", code=code, details={"line": number})


def read_json_rows(stream: BinaryIO) -> Iterator[JsonValue]:
    """The items of the list that the JSON text (UTF-8) is, each at most 10 MiB.

    Raises:
        FatalError: `rows_expected`: the text is another value than a list; `json_invalid`, `number_range`, `json_depth`, `json_keys`,
            `encoding`, `body_too_large`, with the line on which the item begins.
    """
    text = _Text(stream)
    if text.skip_space() != "[":
        raise text.fail("it is no list, and only the items of a list are rows", "rows_expected")
    text.at += 1
    index = 0
    if text.skip_space() != "]":
        while True:
            if not text.skip_space():
                raise text.fail(f"it ends before item {index} of the list", "json_invalid")
            yield text.read_item(index)
            index += 1
            sign = text.skip_space()
            if sign == "]":
                break
            if sign != ",":
                raise text.fail(f"behind item {index - 1} a comma or ] is missing", "json_invalid")
            text.at += 1
    text.at += 1
    if text.skip_space():
        raise text.fail("there is more text behind the list", "json_invalid")


def write_json_rows(write: Callable[[bytes], object], rows: Iterable[JsonValue], *, is_pretty: bool = False) -> None:
    """Writes the rows as one list, each on a line of its own, or indented. Raises whatever `rows` raises."""
    batch = bytearray(b"[")
    is_first = True
    for row in rows:
        batch += b"\n" if is_first else b",\n"
        is_first = False
        batch += _indent(row) if is_pretty else encode(row)
        if len(batch) >= BATCH_BYTES:
            write(bytes(batch))
            batch.clear()
    batch += b"]\n" if is_first else b"\n]\n"
    write(bytes(batch))


def _indent(row: JsonValue) -> bytes:
    """The row as it stands in an indented list; texts of JSON have no line ends of their own."""
    return b"  " + orjson.dumps(row, option=orjson.OPT_INDENT_2).replace(b"\n", b"\n  ")
