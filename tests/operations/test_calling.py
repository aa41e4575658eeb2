import asyncio
import math
from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from pydantic import BaseModel, Field

from flowforge.kit.limits import Limits
from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import (
    AttemptContext,
    Exit,
    FatalError,
    Nature,
    Operation,
    OperationContext,
    RetryableError,
    StrictModel,
    operation,
)
from flowforge.operations.calling import InvalidParametersError, call_pure, find_target, run_effect, run_pure, validate_parameters

FACTS: dict[str, Any] = {"title": "T", "category": "test", "icon": "x"}


class Inner(StrictModel):
    count: int


class Parameters(StrictModel):
    what: str = ""
    items: list[Inner] = Field(default_factory=list[Inner])
    body: pydantic.JsonValue = Field(default=None, alias="json")


class Result(StrictModel):
    total: int = Field(alias="sum", default=0)


def make_pure(work: Callable[[Parameters], Any], **facts: Any) -> Operation:
    def function(parameters: Parameters) -> Exit:
        """Works."""
        return work(parameters)

    return operation("test.pure", nature=Nature.PURE, ports=("done", "other"), **FACTS, **facts)(function)


def make_effect(work: Callable[[OperationContext], Any]) -> Operation:
    async def function(parameters: Parameters, context: OperationContext) -> JsonValue:
        """Works."""
        return work(context)

    return operation("test.effect", nature=Nature.EFFECT, **FACTS)(function)


def make_context(*secrets: str, services: dict[type, object] | None = None, lines: list[Any] | None = None) -> AttemptContext:
    masker = Masker()
    for secret in secrets:
        masker.add(secret)
    written = lines if lines is not None else []

    def write_log(level: str, message: str, fields: JsonObject) -> None:
        written.append((level, message, fields))

    return AttemptContext(
        run_id="run_1",
        step="a",
        attempt=1,
        idempotency_key="k",
        services=services or {},
        write_log=write_log,
        masker=masker,
    )


NOTHING = Parameters()


def test_parameters_are_checked_with_all_faults_at_once():
    checked = make_pure(lambda _: None)
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(checked, {"what": ["s3cret"], "items": [{"count": 1}, {"count": "x"}, {}], "colour": 1})
    error = caught.value
    assert [fault.field for fault in error.faults] == ["what", "items[1].count", "items[2].count", "colour"]
    assert {fault.code for fault in error.faults} == {"invalid_parameters"}
    assert error.code == "invalid_parameters"
    assert isinstance(error, FatalError)
    assert "s3cret" not in str(error) + repr(error.details)


def test_parameters_that_are_no_object_are_refused():
    with pytest.raises(InvalidParametersError, match="the whole"):
        validate_parameters(make_pure(lambda _: None), [1])


def test_a_model_becomes_plain_json_under_the_names_of_the_document():
    class Holder(BaseModel):
        when: set[int] = {1}
        inner: Result = Result()

    assert run_pure(make_pure(lambda _: Holder(), result=Holder), NOTHING) == ("done", {"when": [1], "inner": {"sum": 0}})


def test_the_first_port_is_the_default_and_an_exit_names_another():
    assert run_pure(make_pure(lambda _: {"a": 1}), NOTHING) == ("done", {"a": 1})
    assert run_pure(make_pure(lambda _: Exit("other", 3)), NOTHING) == ("other", 3)


def test_an_expression_function_gives_the_output_alone():
    assert call_pure(make_pure(lambda parameters: parameters.what + "!"), {"what": "hi"}) == "hi!"


@pytest.mark.parametrize("value", [{1}, object(), b"x", 2**64, math.nan, math.inf, {1: 2}, "\ud800", [[object()]], (1, 2)])
def test_a_result_that_is_no_json_is_the_authors_mistake(value: object):
    with pytest.raises(FatalError) as caught:
        run_pure(make_pure(lambda _: value), NOTHING)
    assert caught.value.code == "result_invalid"
    assert "test.pure" in caught.value.message


def test_a_result_too_deep_for_the_limits_is_refused():
    with pytest.raises(FatalError, match="nested"):
        run_pure(make_pure(lambda _: [[[[[[[[[1]]]]]]]]]), NOTHING, Limits(json_depth=8))


def test_an_undeclared_port_or_another_type_than_declared_is_the_authors_mistake():
    with pytest.raises(FatalError, match="'nowhere'"):
        run_pure(make_pure(lambda _: Exit("nowhere", None)), NOTHING)
    with pytest.raises(FatalError, match="declares Result"):
        run_pure(make_pure(lambda _: {"sum": 1}, result=Result), NOTHING)


def raise_(error: BaseException) -> Any:
    raise error


def test_errors_that_the_author_raised_pass_as_they_are():
    fatal = FatalError("no", code="mine", details={"a": 1})
    later = RetryableError("later", code="busy", after_ms=5)
    with pytest.raises(FatalError) as caught:
        run_pure(make_pure(lambda _: raise_(fatal)), NOTHING)
    assert caught.value is fatal
    with pytest.raises(RetryableError) as retry:
        run_pure(make_pure(lambda _: raise_(later)), NOTHING)
    assert (retry.value.code, retry.value.after_ms, retry.value.by_default) == ("busy", 5, True)


@pytest.mark.parametrize(
    ("error", "said"), [(ValueError("bad"), "ValueError: bad"), (KeyError(), "KeyError"), (OSError(5, "io"), "OSError")]
)
def test_any_other_error_may_be_tried_again_and_shows_no_stack(error: Exception, said: str):
    with pytest.raises(RetryableError) as caught:
        run_pure(make_pure(lambda _: raise_(error)), NOTHING)
    assert caught.value.code == "operation_failed"
    assert said in caught.value.message
    assert "Traceback" not in caught.value.message
    assert "\n" not in caught.value.message


async def test_an_effect_gives_port_and_output():
    assert await run_effect(make_effect(lambda context: context.attempt), NOTHING, make_context()) == ("done", 1)


async def test_cancelling_passes_through_an_effect():
    with pytest.raises(asyncio.CancelledError):
        await run_effect(make_effect(lambda _: raise_(asyncio.CancelledError())), NOTHING, make_context())


async def test_a19_secrets_are_masked_in_the_output():
    output: JsonObject = {"s3cret-key": ["Bearer s3cret-key", 1, None], "b64": "dXNlcjpzM2NyZXQta2V5"}
    _, shown = await run_effect(make_effect(lambda _: output), NOTHING, make_context("s3cret-key"))
    assert "s3cret" not in repr(shown)
    assert "zM2NyZXQta2V5" not in repr(shown)
    assert isinstance(shown, dict)
    assert shown["***"] == ["Bearer ***", 1, None]


@pytest.mark.parametrize(
    "error", [FatalError("of s3cret-key", details={"a": "s3cret-key"}), RetryableError("of s3cret-key"), ValueError("s3cret-key")]
)
async def test_a19_secrets_are_masked_in_errors(error: Exception):
    with pytest.raises((FatalError, RetryableError)) as caught:
        await run_effect(make_effect(lambda _: raise_(error)), NOTHING, make_context("s3cret-key"))
    assert "***" in caught.value.message
    assert "s3cret" not in f"{caught.value} {caught.value.message} {caught.value.details} {caught.value.args}"


async def test_a19_secrets_are_masked_in_the_log():
    lines: list[Any] = []
    context = make_context("s3cret-key", lines=lines)
    await run_effect(make_effect(lambda given: given.log("info", "with s3cret-key", key="s3cret-key")), NOTHING, context)
    assert lines == [("info", "with ***", {"key": "***"})]


def test_a_service_is_found_by_its_class_and_its_absence_is_told():
    context = make_context(services={str: "hello"})
    assert context.service(str) == "hello"
    with pytest.raises(FatalError, match="int") as caught:
        context.service(int)
    assert caught.value.code == "service_missing"


def test_the_target_is_named_where_there_is_one():
    def name(parameters: Any) -> str:
        return parameters["what"]

    assert find_target(make_pure(lambda _: None, target=name), {"what": "host"}) == "host"
    assert find_target(make_pure(lambda _: None, target=name), {}) is None
    assert find_target(make_pure(lambda _: None), {"what": "host"}) is None
