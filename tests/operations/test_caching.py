"""Results that are used again: of which operations, for which parameters, and what is never kept."""

from datetime import timedelta
from typing import Annotated, Any

import pytest
from tests.support.clock import ManualClock

from flowforge.kit.caching import MemoryCache
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import (
    MAY_SECRET,
    AttemptContext,
    Cache,
    DefinitionError,
    FatalError,
    Nature,
    Operation,
    OperationContext,
    StrictModel,
    operation,
)
from flowforge.operations.caching import RESULT_MAX_BYTES, ResultCache, run_cached

HOUR = timedelta(hours=1)


class Parameters(StrictModel):
    text: str = ""
    token: Annotated[str, MAY_SECRET] = ""
    hours: int = 1


def read_hours(parameters: Parameters) -> timedelta | None:
    return timedelta(hours=parameters.hours) if parameters.hours else None


def declare(cache: Any, nature: Nature = Nature.HEAVY, version: int = 1, name: str = "test.costly") -> Operation:
    async def costly(parameters: Parameters, context: OperationContext) -> JsonValue:
        """Costs much."""
        raise NotImplementedError

    facts: dict[str, Any] = {"title": "T", "category": "test", "icon": "x", "version": version}
    return operation(name, nature=nature, cache=cache, **facts)(costly)


class Desk:
    """Calls with one cache. `made`: how many were really made."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.cache = MemoryCache(self.clock)
        self.made = 0
        self.result: JsonValue = None
        self.log: list[JsonObject] = []

    async def call(self, called: Operation, parameters: JsonObject, workspace_id: str = "ws_1") -> JsonValue:
        async def run() -> tuple[str, JsonValue]:
            self.made += 1
            if isinstance(self.result, str) and self.result == "fail":
                raise FatalError("no", code="no")
            return "done", self.made if self.result is None else self.result

        def write(_level: str, _message: str, fields: JsonObject) -> None:
            self.log.append(fields)

        services = {ResultCache: self.cache}
        context = AttemptContext("run_1", "a", 1, "key", services, write, read_clock=self.clock.now_ms)
        return (await run_cached(called, parameters, context, workspace_id, run))[1]


async def test_an_equal_call_gets_the_kept_result_for_its_time_and_says_so():
    desk, costly = Desk(), declare(Cache(HOUR))
    assert [await desk.call(costly, {"text": "a", "hours": 1}), await desk.call(costly, {"hours": 1, "text": "a"})] == [1, 1]
    desk.clock.advance(3_599_999)
    assert await desk.call(costly, {"text": "a", "hours": 1}) == 1
    assert desk.log == [{"age": "0s"}, {"age": "59m59s999ms"}]
    desk.clock.advance(1)
    assert await desk.call(costly, {"text": "a", "hours": 1}) == 2


async def test_another_workspace_version_operation_parameter_or_secret_is_another_call():
    desk, costly = Desk(), declare(Cache(HOUR))
    given: JsonObject = {"text": "a", "token": "s3cret"}
    await desk.call(costly, given)
    await desk.call(costly, given, "ws_2")
    await desk.call(declare(Cache(HOUR), version=2), given)
    await desk.call(declare(Cache(HOUR), name="test.other"), given)
    await desk.call(costly, {**given, "text": "b"})
    await desk.call(costly, {**given, "token": "other"})
    assert (desk.made, desk.log) == (6, [])


async def test_the_parameters_may_say_for_how_long():
    desk, costly = Desk(), declare(Cache(read_hours))
    assert [await desk.call(costly, {"hours": 0}) for _ in range(2)] == [1, 2]
    await desk.call(costly, {"hours": 2})
    desk.clock.advance(3_600_000)
    assert await desk.call(costly, {"hours": 2}) == 3


@pytest.mark.parametrize("result", ["fail", "x" * RESULT_MAX_BYTES, [{"a": {"$file": {"id": "file_1"}}}]])
async def test_failures_files_and_large_results_are_not_kept(result: JsonValue):
    desk, costly = Desk(), declare(Cache(HOUR))
    desk.result = result
    for _ in range(2):
        try:
            await desk.call(costly, {})
        except FatalError:
            continue
    assert desk.made == 2


def test_an_effect_must_say_that_it_only_reads_and_a_pure_operation_needs_none():
    assert declare(Cache(HOUR, only_reads=True), Nature.EFFECT).cache is not None
    with pytest.raises(DefinitionError, match="only_reads"):
        declare(Cache(HOUR), Nature.EFFECT)

    def pure(parameters: Parameters) -> JsonValue:
        """Is cheap."""
        return None

    with pytest.raises(DefinitionError, match="HEAVY"):
        operation("test.pure", title="T", category="t", icon="x", nature=Nature.PURE, cache=Cache(HOUR))(pure)
