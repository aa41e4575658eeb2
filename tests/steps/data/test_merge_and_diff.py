import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data import changes
from flowforge.steps.data.diff import compare_values
from flowforge.steps.data.fields import are_equal
from flowforge.steps.data.merge import merge_objects
from flowforge.steps.data.patch import apply_patch


def merge(*objects: JsonValue, **parameters: JsonValue) -> JsonValue:
    return call_pure(merge_objects, {"data": [*objects], **parameters})


def diff(before: JsonValue, after: JsonValue, **parameters: JsonValue) -> JsonValue:
    return call_pure(compare_values, {"before": before, "after": after, **parameters})


def test_later_objects_win_level_by_level():
    left: JsonObject = {"a": {"x": 1, "y": 2}, "b": 1}
    assert merge(left, None, {"a": {"y": 3}, "c": 4}) == {"a": {"x": 1, "y": 3}, "b": 1, "c": 4}
    assert merge(left, {"a": {"y": 3}}, deep=False) == {"a": {"y": 3}, "b": 1}
    assert merge(left, {"a": {"y": 3}, "b": {}}, conflict="first") == {"a": {"x": 1, "y": 2}, "b": 1}
    assert merge() == {}
    assert left == {"a": {"x": 1, "y": 2}, "b": 1}


@pytest.mark.parametrize(
    ("how", "merged"),
    [
        ({}, [{"id": 2, "x": 9}, 1]),
        ({"lists": "concat"}, [{"id": 1}, {"id": 2, "y": 5}, 1, {"id": 2, "x": 9}, 1]),
        ({"lists": "union"}, [{"id": 1}, {"id": 2, "y": 5}, 1, {"id": 2, "x": 9}]),
        ({"lists": "by_key", "key": "id"}, [{"id": 1}, {"id": 2, "y": 5, "x": 9}, 1, 1]),
    ],
)
def test_lists_are_put_together_in_several_ways(how: JsonObject, merged: JsonValue):
    assert merge({"l": [{"id": 1}, {"id": 2, "y": 5}, 1]}, {"l": [{"id": 2, "x": 9}, 1]}, **how) == {"l": merged}


def test_a_conflict_can_fail_and_tells_its_path():
    assert merge({"a": 1, "b": [1]}, {"a": 1.0, "b": [1]}, conflict="fail") == {"a": 1, "b": [1]}
    different: list[JsonValue] = [{"x": {"y": 2}}, {"x": 3}]
    for right in different:
        with pytest.raises(FatalError, match=r"^x(\.y)? is in conflict") as caught:
            merge({"x": {"y": 1}}, right, conflict="fail")
        assert caught.value.code == "merge_conflict"
    with pytest.raises(FatalError, match=r"item\[1\]"):
        merge({}, [])


def test_null_has_three_meanings():
    assert merge({"a": 1}, {"a": None, "b": {"c": None}}) == {"a": None, "b": {"c": None}}
    assert merge({"a": 1}, {"a": None, "b": {"c": None}}, nulls="skip") == {"a": 1, "b": {}}
    assert merge({"a": 1, "b": {"c": 1, "d": 2}}, {"a": None, "b": {"c": None}}, nulls="remove") == {"b": {"d": 2}}


RFC_7396: list[tuple[JsonObject, JsonObject, JsonObject]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""From the table in appendix A of RFC 7396."""


@pytest.mark.parametrize(("document", "patch", "merged"), RFC_7396)
def test_a_merge_patch_is_applied(document: JsonObject, patch: JsonObject, merged: JsonObject):
    # The first object is the ground: its nulls are values.
    assert merge(document, patch, nulls="remove") == merged


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, "a", "", "a/b~c"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["a", "b/", "~", "0", ""]), inner, max_size=4),
    max_leaves=15,
)


@given(VALUES, VALUES)
def test_a_patch_leads_from_one_value_to_the_other(before: JsonValue, after: JsonValue):
    patch = diff(before, after)
    assert are_equal(call_pure(apply_patch, {"data": before, "patch": patch}), after)
    assert (patch == []) is are_equal(before, after)


LISTS = st.lists(st.integers(0, 3) | st.fixed_dictionaries({"id": st.integers(0, 3)}), max_size=12)


@given(LISTS, LISTS, st.booleans())
def test_a_patch_of_lists_leads_there_too(before: list[JsonValue], after: list[JsonValue], is_long: bool):
    with pytest.MonkeyPatch.context() as monkeypatch:
        if is_long:
            monkeypatch.setattr(changes, "MATCHED_MAX_ELEMENTS", 2)
        patch = diff(before, after)
    assert are_equal(call_pure(apply_patch, {"data": before, "patch": patch}), after)


def test_elements_that_moved_along_are_found():
    assert diff([1, 2, 3, 4, 5], [0, 1, 3, 4, 5, 6]) == [
        {"op": "add", "path": "/0", "value": 0},
        {"op": "remove", "path": "/2"},
        {"op": "add", "path": "/5", "value": 6},
    ]


def test_changes_tell_both_values():
    assert diff({"a": [1, 2], "b": None}, {"a": [2], "c": True}, to="changes") == [
        {"path": "/a/0", "kind": "removed", "before": 1},
        {"path": "/b", "kind": "removed", "before": None},
        {"path": "/c", "kind": "added", "after": True},
    ]
    assert diff(1, True, to="changes") == [{"path": "", "kind": "changed", "before": 1, "after": True}]


def test_rows_are_compared_by_their_key():
    before: list[JsonValue] = [{"id": 1, "n": 1, "at": 5}, {"id": 2, "n": 2}, {"id": 3}]
    after: list[JsonValue] = [{"id": 4}, {"id": 2.0, "n": 3}, {"id": 1, "n": 1, "at": 6}]
    told = diff(before, after, to="rows", key=["id"], ignore=["at"])
    assert isinstance(told, dict)
    assert (told["added"], told["removed"], told["unchanged"]) == ([{"id": 4}], [{"id": 3}], 1)
    assert isinstance(told["changed"], list)
    assert [row["key"] for row in told["changed"] if isinstance(row, dict)] == [{"id": 2.0}]


@pytest.mark.parametrize(
    ("before", "after", "code", "told"),
    [
        ([{"id": 1}, {"id": 1.0}], [], "key_not_unique", r"before\[1\]"),
        ([], [{"n": 1}], "key_not_unique", r"after\[0\] has no key"),
        ({}, [], "type_mismatch", "before"),
        ([], [3], "type_mismatch", r"after\[0\]"),
    ],
)
def test_rows_that_cannot_be_told_apart_are_told(before: JsonValue, after: JsonValue, code: str, told: str):
    with pytest.raises(FatalError, match=told) as caught:
        diff(before, after, to="rows", key="id")
    assert caught.value.code == code


RFC_6902: list[tuple[JsonValue, JsonObject, JsonValue]] = [
    ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux"}, {"foo": "bar", "baz": "qux"}),
    ({"foo": ["bar", "baz"]}, {"op": "add", "path": "/foo/1", "value": "qux"}, {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, {"op": "remove", "path": "/baz"}, {"foo": "bar"}),
    ({"foo": [1, 2, 3]}, {"op": "remove", "path": "/foo/1"}, {"foo": [1, 3]}),
    ({"baz": "qux"}, {"op": "replace", "path": "/baz", "value": "boo"}, {"baz": "boo"}),
    ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}),
    ({"foo": [1, 2, 3]}, {"op": "move", "from": "/foo/0", "path": "/foo/2"}, {"foo": [2, 3, 1]}),
    ({"foo": [1]}, {"op": "add", "path": "/foo/-", "value": [2]}, {"foo": [1, [2]]}),
    ({"~1": 10, "/": 9}, {"op": "test", "path": "/~01", "value": 10}, {"~1": 10, "/": 9}),
    ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
    ({"a": 1}, {"op": "replace", "path": "", "value": 3}, 3),
]
"""After the examples of appendix A of RFC 6902."""


@pytest.mark.parametrize(("value", "step", "changed"), RFC_6902)
def test_each_step_of_a_patch(value: JsonValue, step: JsonObject, changed: JsonValue):
    assert call_pure(apply_patch, {"data": value, "patch": [step]}) == changed


def test_a_copy_is_no_second_name_for_the_same():
    patch: list[JsonValue] = [
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/y", "value": 2},
        {"op": "add", "path": "/a/z", "value": 3},
    ]
    data: JsonObject = {"a": {}}
    assert call_pure(apply_patch, {"data": data, "patch": patch}) == {"a": {"x": 1, "z": 3}, "b": {"x": 1, "y": 2}}
    assert data == {"a": {}}


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ({"op": "remove", "path": "/x"}, "patch_failed"),
        ({"op": "replace", "path": "/x", "value": 1}, "patch_failed"),
        ({"op": "add", "path": "/l/3", "value": 1}, "patch_failed"),
        ({"op": "add", "path": "/l/01", "value": 1}, "patch_failed"),
        ({"op": "add", "path": "/x/y", "value": 1}, "patch_failed"),
        ({"op": "remove", "path": "/l/-"}, "patch_failed"),
        ({"op": "move", "from": "/a", "path": "/a/b"}, "patch_failed"),
        ({"op": "add", "path": "/a/b/c", "value": 1}, "patch_failed"),
        ({"op": "test", "path": "/a/b", "value": True}, "patch_test_failed"),
    ],
)
def test_a_step_that_does_not_fit_is_told_with_its_number(step: JsonObject, code: str):
    with pytest.raises(FatalError, match=r"patch\[1\]") as caught:
        call_pure(apply_patch, {"data": {"a": {"b": 1}, "l": [1]}, "patch": [{"op": "test", "path": "/l/0", "value": 1.0}, step]})
    assert caught.value.code == code


@pytest.mark.parametrize(
    "step",
    [{"op": "add", "path": "/a"}, {"op": "move", "path": "/a"}, {"op": "remove", "path": "a"}, {"op": "put", "path": "/a"}],
)
def test_a_step_that_is_none_is_refused(step: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(apply_patch, {"data": {}, "patch": [step]})
