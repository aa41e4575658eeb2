"""YAML 1.2 as far as a workflow needs it: one document of plain values, without anchors, tags, merge keys and surprises.

The text is read as a stream of events, and what is refused is refused there: an alias is never followed, so a bomb of them costs
nothing, and a tag is never looked up.
"""

import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import yaml
from yaml.events import AliasEvent, CollectionStartEvent, Event, MappingStartEvent, NodeEvent, ScalarEvent

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import Sink
from flowforge.language.positions import Path, Positions, Span, Style
from flowforge.language.reading.scalars import NumberOutOfRangeError, resolve_plain
from flowforge.language.reading.source import has_control_character

_LOADER: Final = getattr(yaml, "CLoader", yaml.Loader)
"""Only its parser of events is used, which makes no values."""

_STYLES: Final = {"'": Style.SINGLE, '"': Style.DOUBLE, "|": Style.BLOCK, ">": Style.BLOCK}

_NOT_BREAKS: Final = "\x85\u2028\u2029"
"""Line breaks to a YAML 1.1 parser, plain characters in YAML 1.2."""


_REFUSED: Final = "\0"
"""Cannot begin a name that was accepted."""


class _StopReading(Exception):
    """A fault behind which nothing can be read."""


@dataclass(slots=True)
class _Frame:
    """An open list or object. `key` is the one whose value comes next. `is_key`: it stands, wrongly, where a key should.

    The value of a refused key is read like any other, under a name that begins with `_REFUSED`, and left out at the end.
    """

    path: Path
    items: list[JsonValue] | None = None
    fields: JsonObject = field(default_factory=dict[str, JsonValue])
    key: str | None = None
    is_key: bool = False

    @property
    def expects_key(self) -> bool:
        return self.items is None and self.key is None

    def next_path(self) -> Path:
        return (*self.path, len(self.items)) if self.items is not None else (*self.path, self.key or "")

    def put(self, value: JsonValue) -> None:
        if self.items is not None:
            self.items.append(value)
        elif self.key is not None and not self.key.startswith(_REFUSED):
            self.fields[self.key] = value
        self.key = None

    def value(self) -> JsonValue:
        return self.fields if self.items is None else self.items


class YamlReader:
    """Reads one text. `positions` is filled on the way."""

    def __init__(self, text: str, positions: Positions, limits: Limits, sink: Sink) -> None:
        self._text, self._restore = _hide_breaks(text)
        self._positions = positions
        self._limits = limits
        self._sink = sink
        self._stack: list[_Frame] = []
        self._documents = 0
        self._root: JsonValue = None
        self.is_empty = True

    def read(self) -> JsonValue:
        """The value; what is wrong is in the sink. After a fault of syntax the rest of the text is not read."""
        try:
            for event in _parse(self._text):
                self._take(event)
        except _StopReading:
            return None
        except yaml.YAMLError as error:
            self._refuse_syntax(error)
            return None
        return self._root

    def _take(self, event: Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._begin_document(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, NodeEvent):
            self._take_node(event)

    def _take_node(self, event: NodeEvent) -> None:
        if self._stack and self._stack[-1].expects_key:
            self._take_key(event, self._stack[-1])
        else:
            self._take_value(event)

    def _begin_document(self, event: Event) -> None:
        self._documents += 1
        if self._documents == 2:
            message = "There is a second document behind `---`; a file holds one workflow."
            self._sink.put("yaml_documents", (), message, place=self._positions.place(_start(event)))
            raise _StopReading

    def _take_key(self, event: NodeEvent, frame: _Frame) -> None:
        name = self._read_key(event, frame.path)
        if name is None:
            frame.key = _REFUSED
            self._sink.mark_incomplete(frame.path)
            if isinstance(event, CollectionStartEvent):
                self._open(event, (*frame.path, _REFUSED), is_key=True)
            return
        path = (*frame.path, name)
        if name in frame.fields:
            message = f"The field {name[:64]!r} stands here twice; keep one of them."
            self._put("yaml_duplicate_key", path, message, event)
            frame.key = _REFUSED + name
            return
        self._positions.set_key(path, _start(event))
        frame.key = name

    def _read_key(self, event: NodeEvent, path: Path) -> str | None:
        if self._refuse_alias_or_tag(event, path):
            return None
        if not isinstance(event, ScalarEvent):
            self._put("yaml_key", path, "A list or an object cannot be the name of a field.", event)
            return None
        name = self._restore_breaks(event.value)
        if not event.style and name == "<<":
            self._put("yaml_alias", path, "Merge keys `<<` are not supported; write the fields out.", event)
            return None
        if not event.style and not _is_text(name):
            message = f"The name of a field must be text; write it in quotes: {name!r}." if name else "A field without a name."
            self._put("yaml_key", path, message, event)
            return None
        if has_control_character(name):
            self._put("control_char", path, "The name of a field holds a control character; remove it.", event)
            return None
        return name

    def _take_value(self, event: NodeEvent) -> None:
        path = self._stack[-1].next_path() if self._stack else ()
        self._positions.set_value(path, _span(event))
        if self._refuse_alias_or_tag(event, path):
            self._sink.mark_broken(path)
        if isinstance(event, CollectionStartEvent):
            self._open(event, path)
        else:
            self._finish(self._read_scalar(event, path))

    def _open(self, event: CollectionStartEvent, path: Path, *, is_key: bool = False) -> None:
        if len(self._stack) == self._limits.nest_max:
            message = (
                f"The document is nested more than {self._limits.nest_max} levels deep; move a part into a workflow of its own."
            )
            self._put("nest_max", path, message, event)
            raise _StopReading
        self._stack.append(_Frame(path, None if isinstance(event, MappingStartEvent) else [], is_key=is_key))

    def _close(self) -> None:
        self.is_empty = False
        frame = self._stack.pop()
        if not frame.is_key:
            self._finish(frame.value())

    def _finish(self, value: JsonValue) -> None:
        if self._stack:
            self._stack[-1].put(value)
        else:
            self._root = value

    def _read_scalar(self, event: NodeEvent, path: Path) -> JsonValue:
        if not isinstance(event, ScalarEvent):
            return None
        text = self._restore_breaks(event.value)
        if not self._stack and not event.style and not text:
            return None
        self.is_empty = False
        if has_control_character(text):
            self._put("control_char", path, "This text holds a control character; remove it.", event)
            self._sink.mark_broken(path)
        if event.style:
            return text
        try:
            return resolve_plain(text)
        except NumberOutOfRangeError:
            message = (
                f"The number {text[:40]} is out of range: whole numbers have 64 bits, others are finite. Quote it if it is text."
            )
            self._put("number_range", path, message, event)
            self._sink.mark_broken(path)
            return None

    def _refuse_alias_or_tag(self, event: NodeEvent, path: Path) -> bool:
        if isinstance(event, AliasEvent) or event.anchor is not None:
            mark = f"*{event.anchor}" if isinstance(event, AliasEvent) else f"&{event.anchor}"
            self._put("yaml_alias", path, f"Anchors and aliases are not supported ({mark[:40]}); write the value out.", event)
            return True
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._put("yaml_tag", path, f"Tags are not supported ({str(tag)[:60]}); write the value without one.", event)
            return True
        return False

    def _refuse_syntax(self, error: yaml.YAMLError) -> None:
        problem = str(getattr(error, "problem", None) or "it cannot be read")
        mark = getattr(error, "problem_mark", None)
        if "unexpected end of stream" in problem:
            mark = getattr(error, "context_mark", None) or mark
        index = int(getattr(mark, "index", 0))
        is_tab = self._text[index : index + 1] == "\t"
        hint = "Indent with spaces, not with tabs." if is_tab else None
        context = getattr(error, "context", None)
        message = f"This is not valid YAML: {problem}" + (f" {context}." if context else ".")
        self._sink.put("yaml_syntax", (), message, place=self._positions.place(index), suggestion=hint)

    def _put(self, code: str, path: Path, message: str, event: Event) -> None:
        self.is_empty = False
        self._sink.put(code, path, message, place=self._positions.place(_start(event)))

    def _restore_breaks(self, text: str) -> str:
        return text.translate(self._restore) if self._restore else text


def _parse(text: str) -> Iterator[Event]:
    return cast("Iterator[Event]", yaml.parse(text, Loader=_LOADER))  # pyright: ignore[reportUnknownMemberType] - the stubs leave it open


def _hide_breaks(text: str) -> tuple[str, dict[int, str]]:
    """The text with the characters that only YAML 1.1 takes for line breaks replaced, one by one, and the way back."""
    present = [letter for letter in _NOT_BREAKS if letter in text]
    if not present:
        return text, {}
    spare = (chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in text)
    pairs = list(zip(present, spare, strict=False))
    hidden = text.translate({ord(letter): stand_in for letter, stand_in in pairs})
    return hidden, {ord(stand_in): letter for letter, stand_in in pairs}


def _is_text(word: str) -> bool:
    if not word or word[0] not in "+-.~nNtTfF" + string.digits:
        return bool(word)
    try:
        return isinstance(resolve_plain(word), str)
    except NumberOutOfRangeError:
        return False


def _start(event: Event) -> int:
    return int(event.start_mark.index)


def _span(event: NodeEvent) -> Span:
    if not isinstance(event, ScalarEvent):
        return Span(_start(event), int(event.end_mark.index))
    return Span(_start(event), int(event.end_mark.index), _STYLES.get(event.style or "", Style.PLAIN))
