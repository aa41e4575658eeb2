"""A document as plain values, from whatever it comes as."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from flowforge.kit.limits import Limits
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.language.faults import Sink
from flowforge.language.positions import Path, Positions
from flowforge.language.reading.json_reader import JsonReader
from flowforge.language.reading.source import has_control_character, read_text
from flowforge.language.reading.yaml_reader import YamlReader


class DocumentFormat(StrEnum):
    """How a text is to be read. Every JSON document is a YAML document too."""

    YAML = "yaml"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Reading:
    """`value` is None where the text could not be read; `sink` holds the faults and knows the places."""

    value: JsonValue
    sink: Sink


def read_document(source: bytes | str | JsonObject, limits: Limits, text_format: DocumentFormat = DocumentFormat.YAML) -> Reading:
    """Reads a document. Never raises on bad input; what is wrong is in the reading's sink."""
    if isinstance(source, dict):
        return _read_values(source, limits)
    first = Sink()
    text = read_text(source, limits, first)
    if text is None:
        return Reading(None, first)
    if text_format is DocumentFormat.JSON:
        return _read_json(text, limits)
    if text.lstrip(" \t\r\n").startswith("{"):
        reading = _read_json(text, limits)
        if not any(fault.code == "json_syntax" for fault in reading.sink.list_errors()):
            return reading
    return _read_yaml(text, limits)


def _read_json(text: str, limits: Limits) -> Reading:
    positions = Positions(text)
    sink = Sink(positions)
    if not text.strip():
        return _refuse_empty(sink)
    return Reading(JsonReader(text, positions, limits, sink).read(), sink)


def _read_yaml(text: str, limits: Limits) -> Reading:
    positions = Positions(text)
    sink = Sink(positions)
    reader = YamlReader(text, positions, limits, sink)
    value = reader.read()
    if reader.is_empty and not sink.has_errors:
        return _refuse_empty(sink)
    return Reading(value, sink)


def _refuse_empty(sink: Sink) -> Reading:
    sink.add("def_empty", (), "The document is empty; a workflow has at least `flowforge`, `name` and `steps`.")
    return Reading(None, sink)


def _read_values(source: JsonObject, limits: Limits) -> Reading:
    sink = Sink()
    size_bytes = _check_value(source, (), sink, limits)
    if size_bytes > limits.def_max_bytes:
        sink.add("def_max", (), f"The document is larger than {limits.def_max_bytes} bytes; split it into several workflows.")
    return Reading(None if sink.has_errors else source, sink)


def _check_value(value: object, path: Path, sink: Sink, limits: Limits) -> int:
    """Refuses what no text could give; gives about the size that the value has as JSON, in bytes."""
    if isinstance(value, str):
        if has_control_character(value):
            sink.add("control_char", path, "This text holds a control character; remove it.")
        return len(value) + 2
    if isinstance(value, dict | list):
        if len(path) >= limits.nest_max:
            sink.add("nest_max", path, f"The document is nested more than {limits.nest_max} levels deep.")
            return 2
        children = cast("dict[object, object] | list[object]", value)
        return 2 + _check_children(children, path, sink, limits)
    _check_number(value, path, sink)
    return 5


def _check_children(value: dict[object, object] | list[object], path: Path, sink: Sink, limits: Limits) -> int:
    if isinstance(value, list):
        return sum(1 + _check_value(item, (*path, index), sink, limits) for index, item in enumerate(value))
    size_bytes = 0
    for key, item in value.items():
        if not isinstance(key, str) or has_control_character(key):
            sink.add("yaml_key", path, "The name of a field must be text without control characters.")
            continue
        size_bytes += len(key) + 4 + _check_value(item, (*path, key), sink, limits)
    return size_bytes


def _check_number(value: object, path: Path, sink: Sink) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            sink.add("number_range", path, "The whole number does not fit into 64 bits.")
    elif not isinstance(value, float):
        sink.add("type", path, f"A value of the type {type(value).__name__} is not JSON.")
    elif not math.isfinite(value):
        sink.add("number_range", path, "The number is infinite or not a number.")
