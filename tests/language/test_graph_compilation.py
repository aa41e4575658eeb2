"""The graph that a list of steps gives, sentence by sentence of the language."""

from collections.abc import Mapping, Sequence
from typing import cast

import pytest
from tests.support.language_catalog import compile_text

from flowforge.kit.values import JsonObject
from flowforge.language.graph import Call, Foreach, Graph, Join, OnError, Repeat, Retry, Step, Switch, WaitSignal, Workflow


def make_document(steps: Sequence[JsonObject], fields: Mapping[str, object]) -> JsonObject:
    return cast("JsonObject", {"flowforge": 1, "name": "sample", "steps": [*steps], **fields})


def a_step(step_id: str, uses: str = "flow.set", **fields: object) -> JsonObject:
    given: dict[str, object] = {"id": step_id, "uses": uses}
    if uses == "flow.set":
        given["with"] = {"values": {}}
    return cast("JsonObject", {**given, **fields})


def compile_document(steps: Sequence[JsonObject], **fields: object) -> Workflow:
    compilation = compile_text(make_document(steps, fields))
    assert compilation.workflow is not None, compilation.errors
    return compilation.workflow


def list_codes(steps: Sequence[JsonObject], **fields: object) -> list[tuple[str, str]]:
    compilation = compile_text(make_document(steps, fields))
    return [(fault.code, fault.field) for fault in compilation.errors]


def list_edges(graph: Graph) -> dict[str, list[tuple[str, str]]]:
    return {step.id: [(port, graph.steps[target].id) for port, target in step.edges] for step in graph.steps}


def get_step(workflow: Workflow, name: str) -> Step:
    return workflow.graph.steps[workflow.graph.index[name]]


def test_a_step_without_after_follows_the_one_above_by_its_ordinary_exit_and_the_first_starts_the_run():
    workflow = compile_document([a_step("a", "flow.if", **{"with": {"condition": True}}), a_step("b"), a_step("c")])
    assert list_edges(workflow.graph) == {"a": [("true", "b")], "b": [("done", "c")], "c": []}
    assert [step.incoming for step in workflow.graph.steps] == [0, 1, 1]


def test_an_empty_after_starts_with_the_run():
    workflow = compile_document([a_step("a"), a_step("b", after=[])])
    assert get_step(workflow, "b").incoming == 0


def test_after_names_a_step_or_a_port_one_or_a_list():
    workflow = compile_document([a_step("a"), a_step("b", after="a.error"), a_step("c", after=["a", "b.done"])])
    assert list_edges(workflow.graph) == {"a": [("error", "b"), ("done", "c")], "b": [("done", "c")], "c": []}
    assert get_step(workflow, "a").handles_error
    assert not get_step(workflow, "b").handles_error


def test_after_may_name_a_step_further_down():
    workflow = compile_document([a_step("a"), a_step("b", after="c"), a_step("c", after="a")])
    assert list_edges(workflow.graph) == {"a": [("done", "c")], "b": [], "c": [("done", "b")]}


def test_the_edges_of_a_step_come_in_the_order_of_their_targets():
    workflow = compile_document(
        [a_step("a"), a_step("d", after="a.error"), a_step("b", after=["a"]), a_step("c", after="a.error")]
    )
    assert get_step(workflow, "a").edges == (("error", 1), ("done", 2), ("error", 3))


def test_an_operation_with_ports_of_its_own_leaves_by_the_first_one_ordinarily():
    workflow = compile_document([a_step("a", "cache.look_up", **{"with": {"key": "k"}}), a_step("b")])
    assert get_step(workflow, "a").ports == ("found", "missing", "error")
    assert list_edges(workflow.graph)["a"] == [("found", "b")]


def test_a_wait_for_a_signal_has_the_port_expired_only_with_expires():
    plain = compile_document([a_step("a", "flow.wait", **{"with": {"signal": "s"}})])
    expiring = compile_document([a_step("a", "flow.wait", **{"with": {"signal": "s", "expires": "5m"}})])
    timed = compile_document([a_step("a", "flow.wait", **{"with": {"for": "5m"}})])
    ports = [workflow.graph.steps[0].ports for workflow in (plain, expiring, timed)]
    assert ports == [("received", "error"), ("received", "expired", "error"), ("done", "error")]
    assert [workflow.graph.steps[0].exit for workflow in (plain, expiring, timed)] == ["received", "received", "done"]
    action = expiring.graph.steps[0].action
    assert isinstance(action, WaitSignal)
    assert action.key is None


def test_a_switch_tries_its_cases_in_the_order_of_the_document():
    cases: JsonObject = {"zulu": True, "alpha": False, "mike": "${{ input.x == 1 }}"}
    workflow = compile_document([a_step("a", "flow.switch", **{"with": {"cases": cases}})])
    action = workflow.graph.steps[0].action
    assert isinstance(action, Switch)
    assert [port for port, _ in action.cases] == ["zulu", "alpha", "mike"]
    assert workflow.graph.steps[0].ports == ("zulu", "alpha", "mike", "default", "error")
    assert workflow.graph.steps[0].exit is None


def test_a_switch_has_no_ordinary_exit_to_follow():
    switch = a_step("a", "flow.switch", **{"with": {"cases": {"x": True}}})
    assert list_codes([switch, a_step("b")]) == [("port_missing", "steps[1].after")]
    assert list_codes([switch, a_step("b", after="a")]) == [("port_missing", "steps[1].after")]
    assert list_codes([switch, a_step("b", after="a.default")]) == []


def test_the_default_join_is_merge_and_first_is_known_to_the_graphs_inside():
    loop = a_step("l", "flow.foreach", **{"with": {"items": [1]}, "steps": [a_step("x")], "after": ["a", "b"], "join": "first"})
    workflow = compile_document([a_step("a"), a_step("b", after=[]), loop])
    assert [step.join for step in workflow.graph.steps] == [Join.MERGE, Join.MERGE, Join.FIRST]
    assert workflow.graph.races
    action = workflow.graph.steps[2].action
    assert isinstance(action, Foreach)
    assert action.body.races


def test_a_join_first_inside_a_loop_does_not_race_outside():
    inner: list[JsonObject] = [a_step("a"), a_step("b", after=[]), a_step("c", after=["a", "b"], join="first")]
    workflow = compile_document([a_step("l", "flow.foreach", **{"with": {"items": [1]}, "steps": inner})])
    action = workflow.graph.steps[0].action
    assert isinstance(action, Foreach)
    assert (workflow.graph.races, action.body.races) == (False, True)


def test_all_over_two_ports_of_one_step_is_a_fault_but_over_two_steps_it_is_not():
    both = a_step("b", after=["a", "a.error"], join="all")
    assert list_codes([a_step("a"), both]) == [("join_impossible", "steps[1].join")]
    assert list_codes([a_step("a"), a_step("c", after=[]), a_step("b", after=["a", "c"], join="all")]) == []


@pytest.mark.parametrize("ending", [("flow.stop", {}), ("flow.fail", {"with": {"code": "x"}})], ids=lambda ending: ending[0])
def test_a_step_that_can_only_follow_an_unconditional_end_is_unreachable(ending: tuple[str, JsonObject]):
    kind, fields = ending
    assert list_codes([a_step("a", kind, **fields), a_step("b"), a_step("c")]) == [("unreachable", "steps[1]")]
    assert list_codes([a_step("a", kind, **fields, when=True), a_step("b")]) == [("unreachable", "steps[1]")]
    assert list_codes([a_step("a", kind, **fields, when="${{ input.x }}"), a_step("b")]) == []
    assert list_codes([a_step("a", kind, **fields, on_error="continue"), a_step("b")]) == []
    assert list_codes([a_step("a", kind, **fields), a_step("b", after="a.error")]) == []
    assert list_codes([a_step("a", kind, **fields), a_step("c", after=[]), a_step("b", after=["a", "c"])]) == []
    assert list_codes([a_step("a", kind, **fields), a_step("c", after=[]), a_step("b", after=["a", "c"], join="all")]) == [
        ("unreachable", "steps[2]")
    ]


def test_a_cycle_does_not_make_the_steps_behind_it_unreachable_too():
    steps: list[JsonObject] = [a_step("a", after="b"), a_step("b", after="a"), a_step("c", after="b")]
    assert list_codes(steps) == [("cycle", "steps[0].after")]


def test_two_cycles_are_two_faults():
    steps: list[JsonObject] = [a_step("a", after="a"), a_step("b", after="c"), a_step("c", after="b")]
    assert [code for code, _ in list_codes(steps)] == ["cycle", "cycle"]


def test_an_inner_id_may_hide_an_outer_one_and_edges_never_cross_the_border():
    inner: list[JsonObject] = [a_step("a"), a_step("b", after="a")]
    loop = a_step("l", "flow.foreach", **{"with": {"items": [1]}, "steps": inner})
    assert list_codes([a_step("a"), loop]) == []
    crossing = a_step("l", "flow.foreach", **{"with": {"items": [1]}, "steps": [a_step("b", after="a")]})
    assert list_codes([a_step("a"), crossing]) == [("ref_unknown", "steps[1].steps[0].after")]


def test_durations_become_milliseconds_and_only_operations_have_a_default_time_out():
    call = a_step("c", "flow.call", **{"with": {"workflow": "other"}})
    wait = a_step("w", "flow.wait", **{"with": {"signal": "s"}, "timeout": "P1DT1H"})
    request = a_step("r", "http.request", **{"with": {"url": "https://x.example"}})
    workflow = compile_document([call, wait, request, a_step("s")], timeout="7d")
    assert [step.timeout_ms for step in workflow.graph.steps] == [None, 90_000_000, 300_000, None]
    assert workflow.timeout_ms == 604_800_000


def test_defaults_hold_for_steps_that_say_nothing_and_are_not_mixed_with_their_own():
    request: JsonObject = {"with": {"url": "https://x.example"}}
    steps: list[JsonObject] = [
        a_step("plain", "http.request", **request),
        a_step("own", "http.request", **request, retry={"backoff": "fixed"}, timeout="1s"),
        a_step("set"),
        a_step("call", "flow.call", **{"with": {"workflow": "other"}}),
    ]
    workflow = compile_document(steps, defaults={"retry": {"attempts": 4, "on": ["http_*"]}, "timeout": "20s"})
    assert get_step(workflow, "plain").retry == Retry(attempts=4, on=("http_*",))
    assert get_step(workflow, "own").retry.attempts == 1
    assert get_step(workflow, "set").retry == Retry()
    assert get_step(workflow, "call").retry.attempts == 4
    assert [step.timeout_ms for step in workflow.graph.steps] == [20_000, 1_000, None, None]


def test_continue_is_only_for_kinds_whose_ordinary_exit_is_done():
    assert get_step(compile_document([a_step("a", on_error="continue")]), "a").on_error is OnError.CONTINUE
    wait = a_step("a", "flow.wait", **{"with": {"signal": "s"}, "on_error": "continue"})
    look = a_step("a", "cache.look_up", **{"with": {"key": "k"}, "on_error": "continue"})
    for refused in (wait, look):
        assert list_codes([refused]) == [("not_applicable", "steps[0].on_error")]


def test_a_loop_without_a_limit_or_concurrency_has_the_defaults():
    repeat = a_step("r", "flow.repeat", **{"with": {"until": False, "every": "1s"}, "steps": [a_step("x")]})
    foreach = a_step("f", "flow.foreach", **{"with": {"items": [1], "concurrency": "unlimited"}, "steps": [a_step("x")]})
    plain = a_step("p", "flow.foreach", **{"with": {"items": [1]}, "steps": [a_step("x")]})
    actions = [step.action for step in compile_document([repeat, foreach, plain]).graph.steps]
    assert isinstance(actions[0], Repeat)
    assert (actions[0].limit, actions[0].every_ms) == (100, 1_000)
    assert isinstance(actions[1], Foreach)
    assert isinstance(actions[2], Foreach)
    assert (actions[1].concurrency, actions[2].concurrency) == (None, 1)


def test_a_known_kind_that_is_not_installed_warns_and_is_marked():
    compilation = compile_text(make_document([a_step("a", "human.approval", **{"with": {"assignees": [{"role": "r"}]}})], {}))
    assert compilation.workflow is not None
    assert [fault.code for fault in compilation.warnings] == ["not_installed"]
    action = compilation.workflow.graph.steps[0].action
    assert isinstance(action, Call)
    assert not action.installed
    assert compilation.workflow.graph.steps[0].exit == "approved"


def test_labels_and_keys_are_text_whatever_the_document_writes():
    workflow = compile_document([a_step("a")], labels={"level": 3, "urgent": True, "team": "sales"})
    assert {name: label.constant for name, label in workflow.labels.items()} == {"level": "3", "urgent": "true", "team": "sales"}


def test_what_a_document_uses_is_listed_once_and_sorted():
    url = "${{ vars.base }}/${{ vars.path }}"
    headers: JsonObject = {"A": "${{ secrets.KEY }}", "B": "${{ secrets.ALSO }}", "C": "${{ secrets.KEY }}"}
    steps: list[JsonObject] = [
        a_step("a", "http.request", **{"with": {"url": url, "headers": headers}}),
        a_step("b", "flow.call", **{"with": {"workflow": "other"}}),
        a_step("c", "flow.set", **{"with": {"values": {"x": "${{ crypto.hash({'text': 'a'}) }}", "y": "${{ vars.base }}"}}}),
    ]
    workflow = compile_document(steps)
    assert workflow.variables == ("base", "path")
    assert workflow.secrets == ("ALSO", "KEY")
    assert workflow.calls == ("other",)
    assert workflow.operations == ("crypto.hash", "http.request")


def test_the_digest_is_that_of_the_meaning_in_yaml_and_json_alike():
    yaml_text = "flowforge: 1\nname: a\nsteps:\n  - id: a\n    uses: flow.set\n    with: {values: {n: 2.0}}\n"
    json_text = '{"flowforge": 1, "name": "a", "steps": [{"id": "a", "uses": "flow.set", "with": {"values": {"n": 2}}}]}'
    first, second = compile_text(yaml_text).workflow, compile_text(json_text).workflow
    assert first is not None
    assert second is not None
    assert first.digest == second.digest
    assert len(first.digest) == 32


def test_the_digest_tells_apart_cases_in_another_order():
    def digest(cases: JsonObject) -> str:
        return compile_document([a_step("a", "flow.switch", **{"with": {"cases": cases}})]).digest

    assert digest({"x": True, "y": True}) != digest({"y": True, "x": True})


def test_metadata_counts_what_the_document_has():
    loop = a_step("l", "flow.foreach", **{"with": {"items": "${{ input.a }}"}, "steps": [a_step("x")]})
    steps = [a_step("i", "flow.if", **{"with": {"condition": True}}), loop, a_step("e", after="i.false")]
    metadata = compile_text(make_document(steps, {"finally": [a_step("f")]})).metadata
    assert metadata is not None
    assert metadata.to_json() == {
        "steps": 5,
        "depth": 2,
        "branches": 1,
        "loops": 1,
        "expressions": 1,
        "triggers": 0,
        "kinds": {"flow.foreach": 1, "flow.if": 1, "flow.set": 3},
    }
