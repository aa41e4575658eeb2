"""Middlewares around a call: their order, what they may change, and what becomes of their mistakes."""

from typing import Any

import pytest

from flowforge.kit.errors import AlreadyExistsError
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import (
    AttemptContext,
    AttemptError,
    DefinitionError,
    Exit,
    FatalError,
    Middleware,
    Nature,
    OperationCall,
    OperationContext,
    Registry,
    RetryableError,
    StrictModel,
    operation,
)
from flowforge.operations.masking import put_back
from flowforge.operations.middleware import run_through

NO_JSON: Any = object()


class Anything(StrictModel):
    text: str = ""


@operation("test.thing", title="T", category="test", icon="x", nature=Nature.EFFECT, ports=("done", "other"), result=None)
async def thing(parameters: Anything, context: OperationContext) -> Exit:
    """Is never called: the tests hand in what it does."""
    raise NotImplementedError


def make_call(**parameters: JsonValue) -> OperationCall:
    return OperationCall(thing, "ws_1", parameters, AttemptContext("run_1", "step", 1, "key"))


async def go(middlewares: list[Middleware], attempt: Any, call: OperationCall | None = None) -> tuple[str, JsonValue]:
    return await run_through(middlewares, call or make_call(), attempt, Limits())


def make_tracer(name: str, told: list[str], **facts: Any) -> Middleware:
    async def before(call: OperationCall) -> JsonObject:
        told.append(f"{name} before {call.parameters['text']}")
        return {"text": f"{call.parameters['text']}{name}"}

    async def after(call: OperationCall, found: Exit) -> Exit:
        told.append(f"{name} after {found.result}")
        return Exit("other", f"{found.result}{name}")

    async def on_error(call: OperationCall, fault: AttemptError) -> AttemptError:
        told.append(f"{name} error {fault.code}")
        return FatalError(fault.message, code=f"{fault.code}_{name}")

    return Middleware(f"trace.{name}", before, after, on_error, **facts)


async def test_the_lowest_priority_is_the_outermost():
    told: list[str] = []
    registry = Registry()
    for name, priority in (("c", 100), ("a", -1), ("b", 100)):
        registry.register_middleware(make_tracer(name, told, priority=priority))
    around = list(registry.find_middlewares("test.thing"))

    async def attempt(parameters: JsonObject) -> tuple[str, JsonValue]:
        told.append(f"attempt {parameters['text']}")
        return "done", "r"

    assert await go(around, attempt, make_call(text="")) == ("other", "rcba")
    assert told == ["a before ", "b before a", "c before ab", "attempt abc", "c after r", "b after rc", "a after rcb"]

    async def fail(_parameters: JsonObject) -> tuple[str, JsonValue]:
        raise RetryableError("no", code="x")

    with pytest.raises(FatalError) as caught:
        await go(around, fail, make_call(text=""))
    assert caught.value.code == "x_c_b_a"


async def test_a_veto_is_seen_by_those_outside_of_it_alone():
    told: list[str] = []

    async def veto(call: OperationCall) -> None:
        raise FatalError("Not at night.", code="night")

    async def attempt(_parameters: JsonObject) -> tuple[str, JsonValue]:
        raise AssertionError

    inner, outer = make_tracer("inner", told), make_tracer("outer", told)
    with pytest.raises(FatalError, match="Not at night") as caught:
        await go([outer, Middleware("veto", before=veto), inner], attempt, make_call(text=""))
    assert (caught.value.code, told) == ("night_outer", ["outer before ", "outer error night"])


@pytest.mark.parametrize("wrong", [ValueError("the token is s3cret"), Exit("nowhere", 1), Exit("done", NO_JSON), {"a": 1}])
async def test_a_mistake_of_a_middleware_fails_the_attempt_and_tells_its_name(wrong: Any):
    async def after(call: OperationCall, found: Exit) -> Exit | None:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    async def attempt(_parameters: JsonObject) -> tuple[str, JsonValue]:
        return "done", None

    call = make_call()
    call.context.masker.add("s3cret")
    with pytest.raises(AttemptError, match=r"broken\.one") as caught:
        await go([Middleware("broken.one", after=after)], attempt, call)
    assert caught.value.code == "middleware_failed"
    assert "s3cret" not in caught.value.message
    assert isinstance(caught.value, RetryableError) == isinstance(wrong, Exception)


def test_secrets_come_back_where_their_text_still_stands():
    original = {"headers": {"a": "Bearer s3cret", "b": "s3cret"}, "list": ["s3cret", 1], "on": True}
    shown: JsonObject = {"headers": {"a": "Bearer ***", "b": "***"}, "list": ["***", 1], "on": True}
    changed: JsonObject = {"headers": {"a": "Bearer ***", "b": "mine", "c": "***"}, "list": ["***", 2, "***"], "on": 1}
    found = put_back(original, shown, changed)
    assert found == {"headers": {"a": "Bearer s3cret", "b": "mine", "c": "***"}, "list": ["s3cret", 2, "***"], "on": 1}


def test_only_operations_that_fit_a_pattern_have_it_around_them():
    registry = Registry()
    assert registry.find_middlewares("http.request") == ()
    web = make_tracer("web", [], operations=("http.*", "ticket.open"))
    registry.register_middleware(web)
    assert [registry.find_middlewares(name) for name in ("http.request", "ticket.open", "ticket.close")] == [(web,), (web,), ()]


def test_one_that_could_not_be_called_or_has_the_name_of_another_is_refused():
    registry = Registry()
    registry.register_middleware(make_tracer("a", []))
    with pytest.raises(AlreadyExistsError, match=r"trace\.a"):
        registry.register_middleware(make_tracer("a", []))

    def plain(call: OperationCall) -> None:
        del call

    for wrong, said in ((Middleware("x"), "one of before"), (Middleware("X Y", before=plain), "async function")):  # pyright: ignore[reportArgumentType]
        with pytest.raises(DefinitionError, match=said):
            registry.register_middleware(wrong)
