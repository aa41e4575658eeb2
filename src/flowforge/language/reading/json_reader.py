"""JSON with the place of every key and value."""

import json
import re
from typing import Final, NoReturn

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import Sink
from flowforge.language.positions import Path, Positions, Span, Style
from flowforge.language.reading.scalars import NumberOutOfRangeError, read_float, read_integer
from flowforge.language.reading.source import has_control_character

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_WORD: Final = re.compile(r"true|false|null")


class _StopReading(Exception):
    """A fault behind which nothing can be read."""


class JsonReader:
    """Reads one text. `positions` is filled on the way."""

    def __init__(self, text: str, positions: Positions, limits: Limits, sink: Sink) -> None:
        self._text = text
        self._positions = positions
        self._limits = limits
        self._sink = sink
        self._index = 0

    def read(self) -> JsonValue:
        """The value; what is wrong is in the sink. After a fault of syntax the rest of the text is not read."""
        try:
            self._skip_space()
            value = self._read_value((), 0)
            self._skip_space()
            if self._index < len(self._text):
                self._refuse("there is something behind the end of the document")
        except _StopReading:
            return None
        return value

    def _read_value(self, path: Path, depth: int) -> JsonValue:
        start = self._index
        letter = self._text[start : start + 1]
        if letter in ("{", "["):
            self._positions.set_value(path, Span(start, start + 1))
            if depth == self._limits.nest_max:
                message = f"The document is nested more than {depth} levels deep; move a part into a workflow of its own."
                self._sink.put("nest_max", path, message, place=self._positions.place(start))
                raise _StopReading
            self._index += 1
            return self._read_object(path, depth + 1) if letter == "{" else self._read_list(path, depth + 1)
        value = self._read_scalar(path, letter)
        style = Style.DOUBLE if letter == '"' else Style.PLAIN
        self._positions.set_value(path, Span(start, self._index, style))
        return value

    def _read_object(self, path: Path, depth: int) -> JsonObject:
        fields: JsonObject = {}
        self._skip_space()
        if self._take("}"):
            return fields
        while True:
            self._read_field(fields, path, depth)
            if self._ends("}"):
                return fields

    def _read_field(self, fields: JsonObject, path: Path, depth: int) -> None:
        self._skip_space()
        start = self._index
        if self._text[start : start + 1] != '"':
            self._refuse("the name of a field in double quotes is expected")
        name = self._read_text(path)
        inner = (*path, name)
        is_twice = name in fields
        if is_twice:
            message = f"The field {name[:64]!r} stands here twice; keep one of them."
            self._sink.put("yaml_duplicate_key", inner, message, place=self._positions.place(start))
        else:
            self._positions.set_key(inner, start)
        self._skip_space()
        if not self._take(":"):
            self._refuse("a colon is expected behind the name of a field")
        self._skip_space()
        value = self._read_value((*path, "\0" + name) if is_twice else inner, depth)
        if not is_twice:
            fields[name] = value

    def _read_list(self, path: Path, depth: int) -> list[JsonValue]:
        items: list[JsonValue] = []
        self._skip_space()
        if self._take("]"):
            return items
        while True:
            self._skip_space()
            items.append(self._read_value((*path, len(items)), depth))
            if self._ends("]"):
                return items

    def _ends(self, bracket: str) -> bool:
        self._skip_space()
        if self._take(","):
            return False
        if not self._take(bracket):
            self._refuse(f"a comma or {bracket!r} is expected")
        return True

    def _read_scalar(self, path: Path, letter: str) -> JsonValue:
        if letter == '"':
            return self._read_text(path)
        word = _WORD.match(self._text, self._index)
        if word is not None:
            self._index = word.end()
            return _WORDS[word[0]]
        number = _NUMBER.match(self._text, self._index)
        if number is None:
            self._refuse("a value is expected")
        return self._read_number(number, path)

    def _read_number(self, match: re.Match[str], path: Path) -> JsonValue:
        start, self._index = self._index, match.end()
        try:
            return read_integer(match[1]) if match[2] is None and match[3] is None else read_float(match[0])
        except NumberOutOfRangeError:
            message = f"The number {match[0][:40]} is out of range: whole numbers have 64 bits, others are finite."
            self._sink.put("number_range", path, message, place=self._positions.place(start))
            self._sink.mark_broken(path)
            return None

    def _read_text(self, path: Path) -> str:
        start = self._index
        match = _STRING.match(self._text, start)
        if match is None:
            self._refuse("this text is not closed, or holds a line break or an unknown escape")
        self._index = match.end()
        text = str(json.loads(match[0]))
        if has_control_character(text):
            message = "This text holds a control character or half of a surrogate pair; remove it."
            self._sink.put("control_char", path, message, place=self._positions.place(start))
            self._sink.mark_broken(path)
        return text

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._index)
        if match is not None:
            self._index = match.end()

    def _take(self, letter: str) -> bool:
        if not self._text.startswith(letter, self._index):
            return False
        self._index += 1
        return True

    def _refuse(self, problem: str) -> NoReturn:
        self._sink.put("json_syntax", (), f"This is not valid JSON: {problem}.", place=self._positions.place(self._index))
        raise _StopReading
