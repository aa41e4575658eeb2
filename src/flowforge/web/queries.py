"""The query parameters of lists, as endpoints declare them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Annotated, Any, Protocol

from fastapi import Depends, Query
from fastapi.params import Depends as Dependency
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from flowforge.web.lists import LIMIT_DEFAULT, LIMIT_MAX, WHERE_MAX, Asked


def _refuse_zero(text: str) -> str:
    # PostgreSQL takes no such character, not even to look for it.
    if "\x00" in text:
        raise PydanticCustomError("control_char", "It holds a control character (U+0000).")
    return text


LimitIn = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many at most.")]
"""`limit: LimitIn = LIMIT_DEFAULT`."""
CursorIn = Annotated[str | None, Query(max_length=2_000, description="`next_cursor` of the page before.")]
"""`cursor: CursorIn = None`."""
SearchIn = Annotated[str, AfterValidator(_refuse_zero), Query(max_length=200, description="A text that is looked for literally.")]
"""`q: SearchIn = ""`."""
IncludeDeletedIn = Annotated[bool, Query(description="Also what was deleted and can be restored.")]


class Form(Protocol):
    """What a list can be asked for: `selecting.ListForm`, `short_lists.ShortForm`."""

    @property
    def fields(self) -> Mapping[str, Sequence[str]]: ...

    @property
    def sorts(self) -> Mapping[str, object]: ...

    @property
    def default(self) -> str: ...

    @property
    def search(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class Fields:
    """The form of a list that makes its own query."""

    fields: Mapping[str, Sequence[str]]
    sorts: Mapping[str, object] = field(default_factory=dict[str, object])
    default: str = ""
    search: Mapping[str, object] = field(default_factory=dict[str, object])


def make_asked(form: Form) -> Dependency:
    """The parameters of a list that has a form: `asked: Annotated[Asked, make_asked(FORM)]`.

    The document names the fields; what the form has none of is no parameter of the list.
    """

    async def read(where: list[str] | None = None, **given: Any) -> Asked:
        return Asked(where=tuple(where or ()), **given)

    known: list[tuple[str, Any, Any]] = [("limit", LimitIn, LIMIT_DEFAULT), ("cursor", CursorIn, None)]
    if form.fields:
        known.append(
            ("where", Annotated[list[str] | None, Query(description=describe_where(form.fields), max_length=WHERE_MAX)], None)
        )
    if form.sorts:
        said = describe_sort(list(form.sorts), form.default)
        known.append(("sort", Annotated[str | None, Query(description=said, max_length=100)], None))
    if form.search:
        said = f"A text that is looked for literally in {', '.join(form.search)}."
        known.append(("q", Annotated[str, AfterValidator(_refuse_zero), Query(description=said, max_length=200)], ""))
    parameters = [Parameter(name, Parameter.KEYWORD_ONLY, default=given, annotation=kind) for name, kind, given in known]
    # What the framework reads parameters of.
    vars(read)["__signature__"] = Signature(parameters)
    return Depends(read)


def describe_where(allowed: Mapping[str, Sequence[str]]) -> str:
    """Which filters there are, for the document."""
    fields = ", ".join(f"{name} ({' '.join(ops)})" for name, ops in allowed.items())
    return f"`field:op:value`, repeatable, all hold. Fields: {fields}."


def describe_sort(allowed: Sequence[str], default: str) -> str:
    """Which orders there are, for the document."""
    return f"One of {', '.join(allowed)}; with `-` before it the greatest first. Without: {default or 'as they come'}."
