import pytest

from flowforge.runs.estimating import find_remaining_ms
from flowforge.runs.steering import merge_patch
from flowforge.runs.step_lists import StepFilter, choose_steps, count_statuses, fill_buckets
from flowforge.runs.types import NOTHING, StepRecord


@pytest.mark.parametrize(
    ("durations_ms", "elapsed_ms", "remaining_ms"),
    [([], 0, None), ([100, 200, 300], 0, 200), ([100, 200, 300], 150, 100), ([100, 200, 300], 300, None)],
)
def test_rest_of_a_run_is_the_median_of_what_was_left_of_earlier_ones(
    durations_ms: list[int], elapsed_ms: int, remaining_ms: int | None
):
    assert find_remaining_ms(durations_ms, elapsed_ms) == remaining_ms


def make_step(key: str, status: str) -> StepRecord:
    return StepRecord(key, "", status, None, [], NOTHING, None, None, None, None, None)


def test_buckets_show_the_worst_state_of_each_part():
    steps = [make_step(f"s{number}", "failed" if number == 5 else "completed") for number in range(10)]
    assert fill_buckets(steps, 5) == ["completed", "completed", "failed", "completed", "completed"]
    assert len(fill_buckets(steps, 200)) == 10
    assert fill_buckets([], 5) == []
    assert count_statuses(steps) == {"completed": 9, "failed": 1}


def test_steps_are_chosen_by_where_they_stand():
    steps = [make_step(key, "completed") for key in ("items", "items.0/a", "items.0/pages.1/b", "itemset.0/a", "a")]
    assert [step.key for step in choose_steps(steps, StepFilter(container="items"))] == ["items.0/a", "items.0/pages.1/b"]
    assert [step.key for step in choose_steps(steps, StepFilter(step="a"))] == ["items.0/a", "itemset.0/a", "a"]
    assert [step.key for step in choose_steps(steps, StepFilter(step="a", iteration=""))] == ["a"]
    assert choose_steps(steps, StepFilter(statuses=("failed",))) == []


@pytest.mark.parametrize(
    ("value", "patch", "merged"),
    [
        ({"a": 1, "b": 2}, {"b": None, "c": 3}, {"a": 1, "c": 3}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        (5, {"a": {"b": None}}, {"a": {}}),
        ({"a": 1}, 7, 7),
    ],
)
def test_merge_patch_is_that_of_rfc_7396(value: object, patch: object, merged: object):
    assert merge_patch(value, patch) == merged  # type: ignore[arg-type]
