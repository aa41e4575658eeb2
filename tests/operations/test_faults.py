"""Faults of parameters: the place as whoever wrote it knows it, one sentence each, a name that was probably meant."""

from typing import Annotated, Any, Literal

import pydantic
import pytest
from pydantic import Field, model_validator

from flowforge.kit.errors import Detail
from flowforge.kit.values import JsonValue
from flowforge.operations import Nature, Operation, StrictModel, operation
from flowforge.operations.calling import InvalidParametersError, validate_parameters


class Key(StrictModel):
    field: str | None = None
    expression: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "Key":
        if self.field is None and self.expression is None:
            raise ValueError("give field or expression")
        return self


class Pair(StrictModel):
    left: str
    right: str


class Bearer(StrictModel):
    kind: Literal["bearer"]
    token: str


class Basic(StrictModel):
    kind: Literal["basic"]
    user: str


class Parameters(StrictModel):
    by: str | list[Key] = ""
    on: str | list[str | Pair] = ""
    types: Literal["text", "auto"] | dict[str, Literal["integer", "number"]] = "text"
    auth: Annotated[Bearer | Basic, Field(discriminator="kind")] | None = None
    webhook_url: str = ""
    unfurl: bool = False
    items: list[pydantic.JsonValue] = Field(default=[1], min_length=1)
    count: int = Field(default=1, ge=1, lt=10)
    country: str = Field(default="DE", pattern="^[A-Z]{2}$", max_length=2)


@operation("test.faults", title="T", category="test", icon="x", nature=Nature.PURE)
def faults(parameters: Parameters) -> dict[str, JsonValue]:
    """Nothing."""
    del parameters
    return {}


def list_faults(value: JsonValue) -> tuple[Detail, ...]:
    known: Any = faults
    declared: Operation = known if isinstance(known, Operation) else known.operation
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(declared, value)
    return caught.value.faults


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({"by": 5}, "by", "this must be a text or a list, and is a whole number"),
        ({"by": [{"field": 5}]}, "by[0].field", "this must be a text, and is a whole number"),
        ({"by": [{"field": "a"}, {}]}, "by[1]", "give field or expression"),
        ({"on": [{"left": "a"}]}, "on[0].right", "this parameter is required"),
        ({"on": [["a"]]}, "on[0]", "this must be a text or an object, and is a list"),
        ({"types": {"a": "int"}}, "types.a", "this must be 'integer' or 'number'"),
        ({"types": None}, "types", "this must be 'text' or 'auto' or an object, and is null"),
        ({"auth": {"kind": "basic", "user": 1}}, "auth.user", "this must be a text, and is a whole number"),
        ({"auth": {"kind": "s3cret"}}, "auth", "its kind must be one of 'bearer', 'basic'"),
        ({"items": []}, "items", "this must not be empty"),
        ({"count": 1.5}, "count", "this must be a whole number, and is a number with a fraction"),
        ({"count": 0}, "count", "this must be at least 1"),
        ({"count": 10}, "count", "this must be less than 10"),
        ({"country": "de"}, "country", "this must fit the pattern ^[A-Z]{2}$"),
        ({"country": "DEU"}, "country", "this may have at most 2 characters"),
        ([1], "", "this must be an object, and is a list"),
    ],
)
def test_fault_is_told_once_at_its_place(value: JsonValue, field: str, message: str):
    (fault,) = list_faults(value)
    assert (fault.field, fault.message) == (field, message)


@pytest.mark.parametrize(
    ("value", "field", "suggestion"),
    [
        ({"url": ""}, "url", "webhook_url"),
        ({"tpyes": ""}, "tpyes", "types"),
        ({"on": [{"left": "a", "right": "b", "rigth": "c"}]}, "on[0].rigth", "right"),
        ({"auth": {"kind": "bearer", "token": "a", "tokn": ""}}, "auth.tokn", "token"),
    ],
)
def test_name_that_was_probably_meant_is_suggested(value: JsonValue, field: str, suggestion: str):
    (fault,) = list_faults(value)
    assert (fault.field, fault.suggestion) == (field, suggestion)


def test_names_that_there_are_are_listed_where_none_is_alike():
    (fault,) = list_faults({"zzz": 1})
    assert (
        fault.message == "there is no such parameter (there are by, on, types, auth, webhook_url, unfurl, items, count, country)"
    )


def test_no_fault_repeats_a_value():
    told = str(list_faults({"by": [{"field": ["s3cret"]}], "auth": {"kind": "s3cret"}, "types": "s3cret", "count": "s3cret"}))
    assert "s3cret" not in told
