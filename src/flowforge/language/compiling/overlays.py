"""A template of which some parts are compiled by other rules than the rest."""

from collections.abc import Callable
from typing import cast

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, Template
from flowforge.language.positions import Path
from flowforge.language.shapes import is_expression_text


def split_by_paths(value: JsonValue, is_chosen: Callable[[Path], bool], path: Path = ()) -> tuple[JsonValue, JsonValue]:
    """The value with the chosen texts that hold expressions replaced by null, and the same shape with only those, None without any."""
    if isinstance(value, dict):
        pairs = {name: split_by_paths(item, is_chosen, (*path, name)) for name, item in value.items()}
        chosen: JsonObject = {name: pair[1] for name, pair in pairs.items() if pair[1] is not None}
        return {name: pair[0] for name, pair in pairs.items()}, chosen or None
    if isinstance(value, list):
        halves = [split_by_paths(item, is_chosen, (*path, index)) for index, item in enumerate(value)]
        has_any = any(half[1] is not None for half in halves)
        return [half[0] for half in halves], [half[1] for half in halves] if has_any else None
    return (None, value) if is_expression_text(value) and is_chosen(path) else (value, None)


def overlay_templates(source: JsonValue, rest: Template, chosen: Template) -> Template:
    """One template of both halves of a split value."""

    def evaluate(context: Context) -> JsonValue:
        return _overlay(rest.evaluate(context), chosen.evaluate(context))

    expressions = (*rest.expressions, *chosen.expressions)
    return Template(source, is_constant=False, constant=None, evaluate=evaluate, expressions=expressions)


def _overlay(below: JsonValue, above: JsonValue) -> JsonValue:
    """Puts `above` over `below`, which was made for this evaluation and may be changed."""
    if isinstance(below, dict) and isinstance(above, dict):
        for name, item in above.items():
            below[name] = _overlay(below[name], item)
        return below
    if isinstance(below, list) and isinstance(above, list):
        return [_overlay(left, right) for left, right in zip(below, above, strict=True)]
    return below if above is None else cast("JsonValue", above)
