"""What differs between two documents."""

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.differences import Change, diff_documents


def a_step(step_id: str, **parameters: JsonValue) -> JsonObject:
    return {"id": step_id, "uses": "flow.set", "with": {"values": parameters}}


def a_document(*steps: JsonObject, title: str = "A") -> JsonObject:
    return {"flowforge": 1, "name": "a", "title": title, "steps": [*steps]}


def list_changes(a: JsonObject, b: JsonObject) -> list[tuple[str, str, JsonValue, JsonValue]]:
    return [(found.change.value, found.field, found.before, found.after) for found in diff_documents(a, b)]


def test_equal_documents_do_not_differ_whatever_the_order_of_their_fields():
    a = a_document(a_step("x", one=1, two=[1, {"b": 2}]))
    b: JsonObject = {"steps": [{"with": {"values": {"two": [1.0, {"b": 2}], "one": 1}}, "uses": "flow.set", "id": "x"}], **a}
    b["steps"] = [{"with": {"values": {"two": [1.0, {"b": 2}], "one": 1}}, "uses": "flow.set", "id": "x"}]
    assert list_changes(a, b) == []


def test_steps_are_named_by_their_id():
    before = a_document(a_step("x", v=1), a_step("gone"))
    after = a_document(a_step("x", v=2, w=3), a_step("fresh"), title="B")
    assert list_changes(before, after) == [
        ("changed", "title", "A", "B"),
        ("changed", "steps.x.with.values.v", 1, 2),
        ("added", "steps.x.with.values.w", None, 3),
        ("removed", "steps.gone", a_step("gone"), None),
        ("added", "steps.fresh", None, a_step("fresh")),
    ]


def test_a_step_that_moved_is_told_once_and_an_insertion_moves_nothing():
    x, y, z = a_step("x"), a_step("y"), a_step("z")
    assert list_changes(a_document(x, y, z), a_document(y, z, x)) == [("moved", "steps.x", "", "z")]
    assert [change for change, *_ in list_changes(a_document(x, z), a_document(x, y, z))] == ["added"]


def test_steps_inside_loops_are_compared_by_id_too():
    def loop(*steps: JsonObject) -> JsonObject:
        return {"id": "l", "uses": "flow.foreach", "with": {"items": [1]}, "steps": [*steps]}

    found = list_changes(a_document(loop(a_step("x", v=1))), a_document(loop(a_step("x", v=True))))
    assert found == [("changed", "steps.l.steps.x.with.values.v", 1, True)]


def test_the_order_of_cases_is_a_difference():
    def switch(*names: str) -> JsonObject:
        return {"id": "s", "uses": "flow.switch", "with": {"cases": dict.fromkeys(names, True)}}

    found = diff_documents(a_document(switch("x", "y")), a_document(switch("y", "x")))
    assert [(each.change, each.field) for each in found] == [(Change.MOVED, "steps.s.with.cases")]


def test_a_list_without_ids_is_compared_as_a_whole():
    broken: JsonObject = {"steps": [{"uses": "flow.stop"}]}
    assert list_changes(broken, {"steps": []}) == [("changed", "steps", [{"uses": "flow.stop"}], [])]
