"""YAML text to JSON values and back, by the core schema of YAML 1.2."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import yaml
from yaml.events import AliasEvent, CollectionStartEvent, Event, MappingStartEvent, NodeEvent, ScalarEvent

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.reading.scalars import NumberOutOfRangeError, resolve_plain
from flowforge.operations import FatalError

NODES_MAX: Final = 500_000
"""Values that a text may stand for, each alias counted as all that it repeats: a few lines of aliases can stand for billions."""
DEPTH_MAX: Final = 64
_CORE_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_LOADER: Final = getattr(yaml, "CLoader", yaml.Loader)
"""Only its parser of events is used, which makes no values."""


@dataclass(slots=True)
class _Frame:
    """An open list or object, with the key whose value comes next."""

    anchor: str | None
    items: list[JsonValue] | None = None
    fields: JsonObject = field(default_factory=dict[str, JsonValue])
    key: str | None = None
    nodes_before: int = 0

    def value(self) -> JsonValue:
        return self.fields if self.items is None else self.items


class _Builder:
    """Makes one value out of the parser's events."""

    def __init__(self) -> None:
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[JsonValue, int]] = {}
        self._nodes = 0
        self._documents = 0
        self.root: JsonValue = None

    def take(self, event: Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _fail("there is a second document behind ---; split the text before", event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            frame = self._stack.pop()
            self._finish(frame.value(), frame.anchor, self._nodes - frame.nodes_before, event)
        elif isinstance(event, NodeEvent):
            self._take_node(event)

    def _take_node(self, event: NodeEvent) -> None:
        if isinstance(event, AliasEvent):
            self._repeat(event)
            return
        self._count(1, event)
        if isinstance(event, CollectionStartEvent):
            self._open(event)
        elif isinstance(event, ScalarEvent):
            self._finish(_read_scalar(event), event.anchor, 1, event)

    def _open(self, event: CollectionStartEvent) -> None:
        _check_tag(event)
        if len(self._stack) >= DEPTH_MAX:
            raise _fail(f"it is nested more than {DEPTH_MAX} levels deep", event)
        self._refuse_as_key(event)
        items = None if isinstance(event, MappingStartEvent) else cast("list[JsonValue]", [])
        self._stack.append(_Frame(event.anchor, items, nodes_before=self._nodes - 1))

    def _repeat(self, event: AliasEvent) -> None:
        known = self._anchors.get(str(event.anchor))
        if known is None:
            raise _fail(f"*{event.anchor} repeats an anchor that is not complete before it", event)
        value, nodes = known
        self._count(nodes, event)
        self._finish(value, None, nodes, event)

    def _count(self, nodes: int, event: Event) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise _fail(f"it stands for more than {NODES_MAX} values", event)

    def _finish(self, value: JsonValue, anchor: str | None, nodes: int, event: Event) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, nodes)
        if not self._stack:
            self.root = value
            return
        frame = self._stack[-1]
        if frame.items is not None:
            frame.items.append(value)
        elif frame.key is None:
            frame.key = _read_key(value, frame, event)
        else:
            frame.fields[frame.key] = value
            frame.key = None

    def _refuse_as_key(self, event: Event) -> None:
        if self._stack and self._stack[-1].items is None and self._stack[-1].key is None:
            raise _fail("a list or an object cannot be a key", event)


def parse_yaml(text: str) -> JsonValue:
    """The value of one YAML document; `no`, `on` and `12:30` are texts. Aliases are followed, merge keys (`<<`) are ordinary keys.

    Raises:
        FatalError: `yaml_invalid`, with line and column in its details.
    """
    builder = _Builder()
    try:
        for event in _parse(text):
            builder.take(event)
    except yaml.YAMLError as error:
        problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read")
        raise _fail_at(problem, getattr(error, "problem_mark", None)) from None
    return builder.root


def _parse(text: str) -> Iterator[Event]:
    return cast("Iterator[Event]", yaml.parse(text, Loader=_LOADER))  # pyright: ignore[reportUnknownMemberType] - the stubs leave it open


def _read_scalar(event: ScalarEvent) -> JsonValue:
    _check_tag(event)
    if event.style or event.tag == _TEXT_TAG:
        return event.value
    try:
        return resolve_plain(event.value)
    except NumberOutOfRangeError:
        raise _fail(f"the number {event.value[:40]} is out of range; quote it if it is text", event) from None


def _check_tag(event: NodeEvent) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None and tag not in _CORE_TAGS and tag != "!":
        raise _fail(f"the tag {str(tag)[:60]} is not known", event)


def _read_key(value: JsonValue, frame: _Frame, event: Event) -> str:
    if isinstance(value, list | dict):
        raise _fail("a list or an object cannot be a key", event)
    key = value if isinstance(value, str) else str(event.value) if isinstance(event, ScalarEvent) else str(value)
    if key in frame.fields:
        raise _fail(f"the key {key[:60]!r} stands there twice", event)
    return key


def _fail(problem: str, event: Event) -> FatalError:
    return _fail_at(problem, event.start_mark)


def _fail_at(problem: str, mark: Any) -> FatalError:
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    message = f"The text is no YAML that can be converted: {problem} (line {line}, column {column})."
    return FatalError(message, code="yaml_invalid", details={"line": line, "column": column})


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would read as something else; never writes aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


_Dumper.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType] - the stubs leave it open
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"), list("-+.0123456789")
)
_Dumper.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType] - the stubs leave it open
    "tag:yaml.org,2002:int", re.compile(r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)


def write_yaml(value: JsonValue) -> str:
    """YAML text that both YAML 1.1 and 1.2 read back as the same value; keys keep their order."""
    written = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return written.removesuffix("...\n")
