"""docs/language.md: the text of `scripts/pages/language.md`, with the tables that the code itself gives."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from flowforge.kit.border import encode
from flowforge.language.fields import (
    COMPENSATE,
    CONCURRENCY,
    DOCUMENT,
    LIMIT,
    MOCK,
    RETRY,
    STEP,
    InputSchema,
    StepList,
    TriggerParameters,
)
from flowforge.language.kinds import FLOW_KINDS, OPERATION_MAY, FlowKind, May
from flowforge.language.shapes import (
    Choice,
    Condition,
    Constant,
    Duration,
    Either,
    Field,
    Flag,
    Group,
    ListOf,
    MapOf,
    Number,
    OrExpression,
    Rate,
    Shape,
    Templated,
    TemplatedScalar,
    Text,
    Time,
    Whole,
)
from flowforge.language.triggers import COMMON_TRIGGER_FIELDS, TRIGGER_KINDS, CronText, TriggerKind, WallTime
from scripts.markdown import mark_generated, render_table

TEXT: Final = Path(__file__).parent / "pages" / "language.md"
_PLACE: Final = re.compile(r"<!-- table: ([a-z ]+) -->")
_GROUPS: Final[Mapping[str, Group]] = {
    "document": DOCUMENT,
    "step": STEP,
    "retry": RETRY,
    "compensate": COMPENSATE,
    "limit": LIMIT,
    "mock": MOCK,
    "concurrency": CONCURRENCY,
}
_SIMPLE: Final[Mapping[type[Shape], str]] = {
    Flag: "true or false",
    Duration: "duration",
    Time: "time",
    Rate: "rate",
    CronText: "cron",
    WallTime: "time, or without a zone",
    Condition: "true, false or one expression",
    TemplatedScalar: "text, number or boolean, may be an expression",
    StepList: "list of steps",
    InputSchema: "JSON Schema",
    TriggerParameters: "object",
}
"""Shapes whose every value is described by the same words."""


def render_language() -> str:
    """The page: each place `<!-- table: NAME -->` of the text becomes a table."""
    return mark_generated(_PLACE.sub(lambda match: _TABLES[match[1]](), TEXT.read_text("utf-8")))


def _render_fields(group: Group) -> str:
    return render_table(("field", "value", "default", "meaning"), map(_describe_field, group.fields))


def _describe_field(field: Field) -> tuple[str, str, str, str]:
    default = "required" if field.is_required else "" if field.default is None else f"`{encode(field.default).decode()}`"
    return f"`{field.name}`", describe_shape(field.shape), default, field.description


def describe_shape(shape: Shape) -> str:
    """What the values of a shape look like, in few words."""
    simple = _SIMPLE.get(type(shape))
    if simple is not None:
        return simple
    match shape:
        case Text():
            return "text"
        case Whole():
            return f"whole number, {shape.minimum:,} to {shape.maximum:,}"
        case Number():
            return f"number, {shape.minimum:,g} to {shape.maximum:,g}"
        case Choice():
            return ", ".join(f"`{value}`" for value in shape.values)
        case _:
            return _describe_compound(shape)


def _describe_compound(shape: Shape) -> str:
    match shape:
        case Constant():
            return "object" if shape.object_only else "any value"
        case Templated():
            kind = "object" if shape.object_only else "text" if shape.text_only else "any value"
            return f"{kind}, may hold expressions"
        case OrExpression():
            return f"{describe_shape(shape.inner)}, or an expression"
        case ListOf():
            return f"list of {_name_items(shape.item)}"
        case MapOf():
            return f"object of: {describe_shape(shape.item)}"
        case Either():
            return shape.what
        case Group():
            return f"object: {', '.join(f'`{field.name}`' for field in shape.fields)}"
        case _:
            raise TypeError(f"There are no words for {type(shape).__name__}.")


def _name_items(item: Shape) -> str:
    match item:
        case Text():
            return "texts"
        case Choice():
            return describe_shape(item)
        case Group():
            return "objects"
        case _:
            return describe_shape(item)


def _render_kinds() -> str:
    return "\n".join(_render_kind(kind) for kind in FLOW_KINDS.values()).rstrip()


def _render_kind(kind: FlowKind) -> str:
    missing = (
        ""
        if kind.is_installed
        else " **Known, but not part of this version**: a workflow with it validates with a warning and does not run."
    )
    ordinary = "none" if kind.exit is None else f"`{kind.exit}`"
    others = ", ".join(f"`{port}`" for port in (*kind.ports, "error") if port != kind.exit)
    leaves = f"Ordinary exit: {ordinary}; other ports: {others}."
    lines = [
        f"### {kind.name}\n",
        f"{kind.description}{missing}\n",
        f"{leaves}{_EXTRA_PORTS.get(kind.name, '')} Output: {kind.output[:1].lower()}{kind.output[1:]}{_say_may(kind)}\n",
        _render_fields(kind.parameters),
        "",
    ]
    return "\n".join(lines)


def _say_may(kind: FlowKind) -> str:
    further = ", ".join(f"`{name}`" for name in _FURTHER_FIELDS if name in kind.may)
    without = "" if May.WHEN in kind.may else " It cannot have `when`."
    return (f" It may also have {further}." if further else "") + without


_FURTHER_FIELDS: Final = tuple(field.name for field in STEP.fields if field.name != May.WHEN)
_EXTRA_PORTS: Final[Mapping[str, str]] = {
    "flow.switch": " Each name in `cases` is a port too.",
    "flow.wait": " For a signal the ordinary exit is `received`, and with `expires` there is the port `expired`.",
}


def _render_triggers() -> str:
    return "\n".join(_render_trigger(kind) for kind in TRIGGER_KINDS.values()).rstrip()


def _render_trigger(kind: TriggerKind) -> str:
    holds = ", ".join(f"`{name}`" for name in (*COMMON_TRIGGER_FIELDS, *kind.holds))
    return f"### {kind.name}\n\n{kind.description} `trigger` holds {holds}.\n\n{_render_fields(kind.parameters)}\n"


def _render_operation_fields() -> str:
    return ", ".join(f"`{name}`" for name in _FURTHER_FIELDS if name in OPERATION_MAY)


def _list_tables() -> Iterator[tuple[str, Callable[[], str]]]:
    for name, group in _GROUPS.items():
        yield name, lambda group=group: _render_fields(group)
    yield "kinds", _render_kinds
    yield "triggers", _render_triggers
    yield "operation fields", _render_operation_fields


_TABLES: Final = dict(_list_tables())
