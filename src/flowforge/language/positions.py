"""Where each field of a document stands in its text."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|\r\n|[\s\S])")
_JSON_PAIR: Final = re.compile(r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}")


class Style(StrEnum):
    """How a scalar is written."""

    PLAIN = "plain"
    SINGLE = "single"
    DOUBLE = "double"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, from 1, in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value is written: characters from `start` up to `end` of the text; `style` None: a list or an object."""

    start: int
    end: int
    style: Style | None = None


class Positions:
    """The places of a document's keys and values, by path."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._keys: dict[Path, int] = {}
        self._values: dict[Path, Span] = {}
        self._walk: _Walk | None = None

    def set_key(self, path: Path, start: int) -> None:
        self._keys[path] = start

    def set_value(self, path: Path, span: Span) -> None:
        self._values[path] = span

    def place(self, index: int) -> Place:
        """Line and column of a character of the text."""
        index = min(max(index, 0), len(self._text))
        line = bisect_right(self._lines, index)
        return Place(line, index - self._lines[line - 1] + 1)

    def find_key(self, path: Path) -> Place:
        """The place of the field's name; of a list's item, or where there is no such field, as `find_value`."""
        start = self._keys.get(path)
        return self.find_value(path) if start is None else self.place(start)

    def find_value(self, path: Path, offset: int | None = None) -> Place:
        """The place of the field's value, or of a character inside its text; a field that is missing stands at its parent's name."""
        span = self._values.get(path)
        if span is None:
            return self.find_key(path[:-1]) if path else Place(1, 1)
        if offset is None or span.style is None:
            return self.place(span.start)
        if self._walk is None or self._walk.span is not span or self._walk.offset > offset:
            self._walk = _begin_walk(self._text, span)
        return self.place(self._walk.go_to(self._text, offset))


@dataclass(slots=True)
class _Walk:
    """How far a scalar was walked: the value's character number `offset` stands at `index`. Later offsets go on from there."""

    span: Span
    index: int
    indent: int | None
    offset: int = 0

    def go_to(self, text: str, offset: int) -> int:
        style = self.span.style
        end = self.span.end if style in (Style.PLAIN, Style.BLOCK) else self.span.end - 1
        escapes, quotes = style is Style.DOUBLE, style is Style.SINGLE
        while self.offset < offset and self.index < end:
            self.index = _step(text, self.index, end, escapes=escapes, quotes=quotes, indent=self.indent)
            self.offset += 1
        return min(self.index, end)


def _begin_walk(text: str, span: Span) -> _Walk:
    """At the first character of the value. A line's end with the indentation behind it counts as one character."""
    if span.style is not Style.BLOCK:
        return _Walk(span, span.start if span.style is Style.PLAIN else span.start + 1, None)
    header_end = _LINE_END.search(text, span.start)
    index = _skip_indent(text, header_end.end() if header_end else span.start, span.end)
    return _Walk(span, index, index - text.rfind("\n", 0, index) - 1)


def _step(text: str, index: int, end: int, *, escapes: bool, quotes: bool, indent: int | None) -> int:
    letter = text[index]
    if escapes and letter == "\\":
        match = _JSON_PAIR.match(text, index) or _ESCAPE.match(text, index)
        return match.end() if match else index + 1
    if quotes and text.startswith("''", index):
        return index + 2
    if letter in "\r\n":
        return _step_over_line_end(text, index, end, indent)
    return index + 1


def _step_over_line_end(text: str, index: int, end: int, indent: int | None) -> int:
    match = _LINE_END.match(text, index)
    after = match.end() if match else index + 1
    if indent is None:
        return _skip_indent(text, after, end)
    last = min(after + indent, end)
    while after < last and text[after] == " ":
        after += 1
    return after


def _skip_indent(text: str, index: int, end: int) -> int:
    while index < end and text[index] in " \t":
        index += 1
    return index
