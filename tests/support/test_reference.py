"""The reference judge itself, on examples whose answer was worked out by hand from the language's sentences."""

import pytest
from tests.support.effect_oracle import Fails, Oracle, Succeeds
from tests.support.fates import Prediction
from tests.support.operations import compile_valid
from tests.support.reference import predict

from flowforge.kit.values import JsonObject


def effect(id_: str, **fields: object) -> dict[str, object]:
    return {"id": id_, "uses": "test.effect", "with": {"value": id_}, **fields}


def play(steps: list[dict[str, object]], oracle: Oracle | None = None, **document: object) -> Prediction:
    whole: dict[str, object] = {"flowforge": 1, "name": "example", "steps": steps, **document}
    return predict(compile_valid(whole), {"n": 1}, oracle or Oracle())  # type: ignore[arg-type]


def statuses(prediction: Prediction) -> dict[str, str]:
    return {key: fate.status for key, fate in prediction.fates.items()}


FAILS = Fails("boom", retryable=False)


@pytest.mark.parametrize(
    ("join", "expected"),
    [pytest.param("merge", "completed", id="merge: one is enough"), pytest.param("all", "skipped", id="all: one is missing")],
)
def test_join_of_a_taken_and_an_untaken_edge(join: str, expected: str):
    branch: dict[str, object] = {"id": "check", "uses": "flow.if", "with": {"condition": "${{ input.n > 1 }}"}}
    steps = [
        branch,
        effect("yes", after="check.true"),
        effect("no", after="check.false"),
        effect("last", after=["yes", "no"], join=join),
    ]

    assert statuses(play(steps)) == {"check": "completed", "yes": "skipped", "no": "completed", "last": expected}


def test_first_starts_before_the_slower_source_is_over():
    steps = [effect("a", after=[]), effect("b", after=[]), effect("c", after=["a", "b"], join="first")]

    prediction = play(steps)

    (sources,) = prediction.needs["c"]
    assert len(sources) == 1
    assert statuses(prediction) == {"a": "completed", "b": "completed", "c": "completed"}


def test_bypassed_step_leaves_by_its_ordinary_exit_with_null():
    prediction = play([effect("a", when="${{ input.n > 1 }}"), effect("b")], output="${{ steps.a.output }}")

    assert statuses(prediction) == {"a": "bypassed", "b": "completed"}
    assert (prediction.status, prediction.output) == ("completed", None)


def test_saga_is_undone_in_reverse():
    undo: JsonObject = {"uses": "test.effect", "with": {"value": 1}}
    oracle = Oracle({"d": [FAILS]})
    steps = [effect("a", compensate=undo), effect("c", compensate=undo), effect("d")]

    prediction = play(steps, oracle)

    assert (prediction.status, prediction.error) == ("failed", {"code": "boom", "step": "d"})
    assert (prediction.undone, prediction.uncompensated) == (["c", "a"], [])


def test_handled_error_undoes_nothing_and_the_run_completes():
    undo: JsonObject = {"uses": "test.effect", "with": {"value": 1}}
    steps = [effect("a", compensate=undo), effect("b"), effect("c", after="b.error")]

    prediction = play(steps, Oracle({"b": [FAILS]}))

    assert statuses(prediction) == {"a": "completed", "b": "failed", "c": "completed"}
    assert (prediction.status, prediction.undone) == ("completed", [])


def test_retry_counts_the_first_attempt():
    prediction = play([effect("a", retry={"attempts": 3, "jitter": False})], Oracle({"a": [Fails("boom")]}))

    assert prediction.planned == [("a", 1), ("a", 2), ("a", 3)]
    assert prediction.status == "failed"


def test_foreach_keeps_the_order_of_items_and_null_for_a_failed_one():
    loop: dict[str, object] = {
        "id": "all",
        "uses": "flow.foreach",
        "with": {"items": [1, 2, 3], "concurrency": "unlimited", "on_item_error": "continue"},
        "steps": [effect("work")],
        "output": "${{ item }}",
    }
    oracle = Oracle({"work": [Succeeds(), FAILS, Succeeds()]})

    prediction = play([loop], oracle, output="${{ steps.all.output }}")

    assert prediction.output == [1, None, 3]
    assert prediction.fates["all"].error == {"code": "item_errors"}


def test_repeat_that_reaches_its_limit_fails():
    loop: dict[str, object] = {
        "id": "again",
        "uses": "flow.repeat",
        "with": {"until": "${{ index > 5 }}", "limit": 2},
        "steps": [effect("work")],
    }

    prediction = play([loop])

    assert prediction.planned == [("again.0/work", 1), ("again.1/work", 1)]
    assert prediction.error == {"code": "repeat_limit", "step": "again"}


def test_stop_ends_the_run_as_completed_and_undoes_nothing():
    undo: JsonObject = {"uses": "test.effect", "with": {"value": 1}}
    steps: list[dict[str, object]] = [
        effect("a", compensate=undo),
        {"id": "end", "uses": "flow.stop", "with": {"output": "${{ input.n }}"}},
    ]

    prediction = play(steps)

    assert (prediction.status, prediction.output, prediction.undone) == ("completed", 1, [])
