from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from flowforge.kit.values import JsonValue
from flowforge.operations import (
    IS_URL,
    MAY_SECRET,
    DefinitionError,
    ErrorCode,
    Exit,
    Nature,
    Operation,
    OperationContext,
    StrictModel,
    operation,
)


class Inner(StrictModel):
    token: Annotated[str, MAY_SECRET] = ""
    plain: str = ""


class Parameters(StrictModel):
    url: Annotated[str, IS_URL] = ""
    headers: Annotated[dict[str, str] | None, MAY_SECRET] = None
    inner: Inner | None = None
    many: list[Inner] = Field(default_factory=list[Inner])
    json_body: Annotated[str, MAY_SECRET] = Field(default="", alias="json")


class Result(StrictModel):
    total: int = 0


class Tree(StrictModel):
    child: "Tree | None" = None
    key: Annotated[str, MAY_SECRET] = ""


class Loose(BaseModel):
    name: str = ""


class HoldsLoose(StrictModel):
    inner: list[Loose] = Field(default_factory=list[Loose])


FACTS: dict[str, Any] = {"title": "T", "category": "test", "icon": "x", "nature": Nature.PURE}


def make(function: Callable[..., Any], name: str = "test.one", **facts: Any) -> Operation:
    return operation(name, **{**FACTS, **facts})(function)


def pure(parameters: Parameters) -> Result:
    """Counts.

    Slowly.
    """
    return Result(total=len(parameters.url))


async def effect(parameters: Parameters, context: OperationContext) -> Result:
    """Counts."""
    return Result(total=context.attempt)


def test_models_and_description_come_from_the_function():
    made = make(pure)
    assert (made.parameters, made.result, made.version, made.ports) == (Parameters, Result, 1, ("done",))
    assert made.description == "Counts.\n\nSlowly."
    assert made.is_pure


def test_marks_are_collected_as_dotted_paths():
    made = make(pure)
    assert made.secret_parameters == {"headers", "inner.token", "many.token", "json"}
    assert made.url_parameters == {"url"}


def test_a_model_that_holds_itself_is_looked_through_once():
    def grow(parameters: Tree) -> Result:
        """Grows."""
        return Result(total=int(parameters.child is None))

    assert make(grow).secret_parameters == {"key"}


def test_marks_and_strictness_stand_in_the_schema():
    schema = make(pure).parameters_schema
    properties = schema["properties"]
    assert isinstance(properties, dict)
    url, headers = properties["url"], properties["headers"]
    assert isinstance(url, dict)
    assert isinstance(headers, dict)
    assert url["x-flowforge-url"] is True
    assert headers["x-flowforge-secret"] is True
    assert schema["additionalProperties"] is False


def test_a_result_that_is_no_model_is_any_json():
    def give(parameters: Parameters) -> JsonValue:
        """Gives."""
        return parameters.url

    made = make(give)
    assert (made.result, made.result_schema) == (None, {})


def test_a_function_with_ports_names_the_model_of_its_result():
    def choose(parameters: Parameters) -> Exit:
        """Chooses."""
        return Exit("left", parameters.url)

    assert make(choose, ports=("left", "right"), result=Result).result is Result


def no_docstring(parameters: Parameters) -> Result:
    return Result()


def unannotated(parameters) -> Any:  # noqa: ANN001 # pyright: ignore[reportUnknownParameterType, reportMissingParameterType] - the case
    """Does."""
    return Result()


def not_a_model(parameters: dict[str, Any]) -> Result:
    """Does."""
    return Result()


def no_result(parameters: Parameters):
    """Does."""


def takes_loose(parameters: Loose) -> Result:
    """Does."""
    return Result()


def holds_loose(parameters: HoldsLoose) -> Result:
    """Does."""
    return Result()


async def asynchronous(parameters: Parameters) -> Result:
    """Does."""
    return Result()


def synchronous(parameters: Parameters, context: OperationContext) -> Result:
    """Does."""
    return Result()


WRONG: list[tuple[Callable[..., Any], str, dict[str, Any], str]] = [
    (pure, "one", {}, "at least two"),
    (pure, "Test.one", {}, "lower-case"),
    (pure, "test.one-two", {}, "lower-case"),
    (pure, "test..one", {}, "lower-case"),
    (pure, "flow.one", {}, "belong to the language"),
    (pure, "human.one", {}, "belong to the language"),
    (pure, "test.one", {"version": 0}, "counts from 1"),
    (pure, "test.one", {"ports": ("error",)}, "cannot be a port"),
    (pure, "test.one", {"ports": ("a b",)}, "cannot be a port"),
    (pure, "test.one", {"ports": ()}, "at least one"),
    (pure, "test.one", {"ports": ("a", "a")}, "differ"),
    (pure, "test.one", {"errors": (ErrorCode("x", "x"), ErrorCode("x", "y"))}, "listed twice"),
    (pure, "test.one", {"colour": "red"}, "unknown colour"),
    (no_docstring, "test.one", {}, "docstring"),
    (unannotated, "test.one", {}, "annotate the first parameter"),
    (not_a_model, "test.one", {}, "annotate the first parameter"),
    (no_result, "test.one", {}, "annotate what it returns"),
    (takes_loose, "test.one", {}, "derive it from StrictModel"),
    (holds_loose, "test.one", {}, "Loose takes fields it does not know"),
    (asynchronous, "test.one", {}, "plain function"),
    (effect, "test.one", {}, r"takes \(parameters\)"),
    (pure, "test.one", {"nature": Nature.EFFECT}, r"takes \(parameters, context\)"),
    (synchronous, "test.one", {"nature": Nature.EFFECT}, "write async def"),
]


@pytest.mark.parametrize(("function", "name", "facts", "told"), WRONG)
def test_a_wrong_definition_says_what_to_mend(function: Callable[..., Any], name: str, facts: dict[str, Any], told: str):
    with pytest.raises(DefinitionError, match=told) as caught:
        make(function, name, **facts)
    assert name in str(caught.value)


def test_a_missing_fact_is_named():
    with pytest.raises(DefinitionError, match=r"missing icon, missing title"):
        operation("test.one", category="test", nature=Nature.PURE)(pure)  # pyright: ignore[reportCallIssue] - the case


def test_a_plain_model_that_forbids_extra_fields_will_do():
    class Own(BaseModel):
        model_config = ConfigDict(extra="forbid")
        x: int = 0

    def give(parameters: Own) -> Result:
        """Gives."""
        return Result(total=parameters.x)

    assert make(give).parameters is Own


def test_a_heavy_operation_may_be_a_plain_function():
    assert make(synchronous, nature=Nature.HEAVY).nature is Nature.HEAVY
