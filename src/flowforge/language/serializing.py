"""A document as YAML for people: stable, so that writing, reading and writing again gives the same bytes."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.fields import DOCUMENT, STEP, TRIGGER
from flowforge.language.reading.scalars import NumberOutOfRangeError, resolve_plain

WIDTH: Final = 100
"""Lists and objects that fit into this many characters are written in one line, except the ones that people read down."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./@+*()' -]*(?:(?::(?! )|,)[A-Za-z0-9_./@+*()' -]+)*")
_PLAIN_IN_FLOW: Final = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./@+*()' -]*")
_BLOCK: Final = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u2028\u2029\r]*")
_BREAKS_ELSEWHERE: Final = re.compile("[\x85\u2028\u2029]")
_WORDS_ELSEWHERE: Final = frozenset({"y", "n", "yes", "no", "on", "off"})
_NUMBER_ELSEWHERE: Final = re.compile(r"[-+0-9:._TZtz ]+")
_ALWAYS_DOWN: Final = frozenset({"steps", "on_failure", "finally", "triggers"})
_ORDERS: Final = {
    "document": tuple(field.name for field in DOCUMENT.fields),
    "step": tuple(field.name for field in STEP.fields),
    "trigger": tuple(field.name for field in TRIGGER.fields),
}


def to_yaml(document: JsonObject) -> str:
    """The document as YAML. Fields of the document, its steps and triggers come in the language's order, all others in their own."""
    if not document:
        return "{}\n"
    return "".join(f"{line}\n" for line in _write_fields(_sort(document, "document"), 0))


def _sort(value: JsonObject, what: str) -> JsonObject:
    order = _ORDERS[what]
    names = sorted(value, key=lambda name: order.index(name) if name in order else len(order))
    return {name: _sort_lists(name, value[name]) for name in names}


def _sort_lists(name: str, value: JsonValue) -> JsonValue:
    if name not in _ALWAYS_DOWN or not isinstance(value, list):
        return value
    what = "trigger" if name == "triggers" else "step"
    return [_sort(item, what) if isinstance(item, dict) else item for item in value]


def _write_fields(fields: JsonObject, indent: int) -> Iterator[str]:
    for name, value in fields.items():
        yield from _write_entry(f"{' ' * indent}{_write_text(name, in_flow=True)}:", value, indent, down=name in _ALWAYS_DOWN)


def _write_entry(start: str, value: JsonValue, indent: int, *, down: bool) -> Iterator[str]:
    """One field or item: in the line that begins with `start`, or below it."""
    if isinstance(value, str) and _is_block(value):
        yield from _write_block(start, value, indent + 2)
        return
    line = f"{start} {_write_inline(value, in_flow=False)}"
    if not value or not isinstance(value, dict | list) or (len(line) <= WIDTH and not down and _is_flat(value)):
        yield line
        return
    if isinstance(value, dict):
        yield start
        yield from _write_fields(value, indent + 2)
    else:
        yield start
        yield from _write_items(value, indent + 2)


def _write_items(items: Iterable[JsonValue], indent: int) -> Iterator[str]:
    for item in items:
        lines = list(_write_item(item, indent))
        yield f"{' ' * indent}- {lines[0].lstrip(' ')}"
        yield from lines[1:]


def _write_item(item: JsonValue, indent: int) -> Iterator[str]:
    """The lines of an item, the first one without its dash."""
    line = " " * (indent + 2) + _write_inline(item, in_flow=False)
    if isinstance(item, dict) and item and not (len(line) <= WIDTH and _is_flat(item) and "id" not in item):
        yield from _write_fields(item, indent + 2)
    elif isinstance(item, list) and item and len(line) > WIDTH:
        yield from _write_items(item, indent + 2)
    elif isinstance(item, str) and _is_block(item):
        block = list(_write_block("", item, indent + 2))
        yield block[0].lstrip(" ")
        yield from block[1:]
    else:
        yield line


def _is_flat(value: JsonValue) -> bool:
    """Whether nothing inside asks for lines of its own."""
    if isinstance(value, dict):
        return all(_is_flat(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_flat(item) for item in value)
    return not isinstance(value, str) or not _is_block(value)


def _is_block(text: str) -> bool:
    """Whether the text is written as lines below `|`: it has several, and nothing in it that would be lost that way."""
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 2 or not _BLOCK.fullmatch(text) or "\t" in text:
        return False
    return not any(line != line.rstrip(" ") for line in lines) and not text.startswith((" ", "\n")) and not text.endswith("\n\n")


def _write_block(start: str, text: str, indent: int) -> Iterator[str]:
    yield f"{start} |" if text.endswith("\n") else f"{start} |-"
    for line in text.removesuffix("\n").split("\n"):
        yield f"{' ' * indent}{line}" if line else ""


def _write_inline(value: JsonValue, *, in_flow: bool) -> str:
    if isinstance(value, dict):
        inner = ", ".join(
            f"{_write_text(name, in_flow=True)}: {_write_inline(item, in_flow=True)}" for name, item in value.items()
        )
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(_write_inline(item, in_flow=True) for item in value)}]"
    if isinstance(value, str):
        return _write_text(value, in_flow=in_flow)
    return json.dumps(value)


def _write_text(text: str, *, in_flow: bool) -> str:
    """Plain where that is safe, else in double quotes."""
    pattern = _PLAIN_IN_FLOW if in_flow else _PLAIN
    if pattern.fullmatch(text) and not text.endswith((" ", ":")) and not text.startswith("-") and _is_text_everywhere(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isprintable() else _BREAKS_ELSEWHERE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _is_text_everywhere(word: str) -> bool:
    """Whether the word is text in YAML 1.2, and in YAML 1.1 too, which other tools may read it as."""
    if word.lower() in _WORDS_ELSEWHERE or _NUMBER_ELSEWHERE.fullmatch(word):
        return False
    try:
        return isinstance(resolve_plain(word), str)
    except NumberOutOfRangeError:
        return False
