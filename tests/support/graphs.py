"""Random valid workflow documents (up to eight steps, loops in loops) and an oracle that goes with each.

A document is built in topological order, so that it has no cycle, reads only what comes before, and names live ports only; then its
list may be shuffled. Every document must compile: that is a property of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st
from tests.support.effect_oracle import Fails, Oracle, Outcome, Succeeds

from flowforge.kit.values import JsonObject, JsonValue

EFFECT = "test.effect"
PURE = "test.pure"
OPERATION_PORTS = ("done", "other")

_CONTAINERS = ("flow.foreach", "flow.repeat")
_KINDS = (
    EFFECT,
    EFFECT,
    EFFECT,
    PURE,
    "flow.if",
    "flow.switch",
    "flow.set",
    "flow.wait",
    "flow.stop",
    "flow.fail",
    *_CONTAINERS,
    *_CONTAINERS,
)
_HANDLER_KINDS = (EFFECT, EFFECT, PURE, "flow.set", "flow.fail")
_PORTS = {
    EFFECT: OPERATION_PORTS,
    PURE: OPERATION_PORTS,
    "flow.if": ("true", "false"),
    "flow.switch": ("one", "two", "default"),
}
_DEPTH_MAX = 2


@dataclass(frozen=True, slots=True)
class Case:
    """A document, an input for it, and how the world answers."""

    document: JsonObject
    input: JsonObject
    oracle: Oracle


@dataclass(frozen=True, slots=True)
class _Sight:
    """What an expression at this place may read. `effects`: those of `steps` that are attempted."""

    steps: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    in_loop: bool = False
    has_item: bool = False
    has_previous: bool = False
    in_handler: bool = False


@dataclass(slots=True)
class _Plan:
    """A graph being drawn: its steps so far, and for each which come before it and by which ports it can be left."""

    steps: list[JsonObject] = field(default_factory=list[JsonObject])
    before: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    ports: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    exits: dict[str, str | None] = field(default_factory=dict[str, str | None])


@st.composite
def cases(draw: st.DrawFn, *, has_races: bool = True, is_wide: bool = False) -> Case:
    """A whole case. Without races no join is `first`; a wide one begins with two attempts at once."""
    document = draw(documents(has_races=has_races, is_wide=is_wide))
    input_: JsonObject = {
        "yes": True,
        "no": False,
        "count": draw(st.integers(0, 3)),
        "word": "w",
        "items": draw(st.lists(st.integers(0, 3), max_size=3)),
        "empty": [],
    }
    return Case(document, input_, draw(oracles(ids_of(document))))


@st.composite
def documents(draw: st.DrawFn, *, has_races: bool = True, is_wide: bool = False) -> JsonObject:
    """A valid document of the test operations and the flow kinds."""
    plan = _Plan()
    if is_wide:
        for name in ("one", "two"):
            _note(plan, {"id": name, "after": [], "uses": EFFECT, "with": {"value": 1}}, ())
    steps = _draw_steps(draw, _Sight(), plan, depth=0, budget=[8], has_races=has_races)
    document: JsonObject = {"flowforge": 1, "name": "generated", "steps": [*steps]}
    readable = tuple(
        _id(step) for step in steps if step["uses"] != "flow.stop"
    )  # what a stop's output and port are, is left open
    everything = _Sight(steps=readable, in_handler=True)
    if draw(st.integers(0, 2)) == 0:
        document["output"] = _draw_value(draw, _Sight(steps=everything.steps))
    for handler in ("on_failure", "finally"):
        if draw(st.integers(0, 3)) == 0:
            document[handler] = [*_draw_handler(draw, everything)]
    if draw(st.integers(0, 7)) == 0:
        document["timeout"] = draw(st.sampled_from(["3s", "30s"]))
    return document


@st.composite
def oracles(draw: st.DrawFn, ids: Sequence[str]) -> Oracle:
    """How the world answers the steps `ids`."""
    scripts = (
        draw(st.dictionaries(st.sampled_from(ids), st.lists(_outcomes(), min_size=1, max_size=3), max_size=4)) if ids else {}
    )
    late = draw(st.frozensets(st.sampled_from(ids), max_size=2)) if ids else frozenset[str]()
    cancel_after = draw(st.none() | st.none() | st.none() | st.integers(0, 4))
    jobs = draw(st.frozensets(st.sampled_from(ids), max_size=3)) if ids else frozenset[str]()
    return Oracle(scripts, draw(st.integers(0, 1_000)), late, cancel_after, jobs)


def ids_of(document: JsonObject) -> list[str]:
    """The ids of all steps, inner ones too, each once."""
    found: dict[str, None] = {}

    def walk(steps: JsonValue) -> None:
        assert isinstance(steps, list)
        for step in steps:
            assert isinstance(step, dict)
            found[_id(step)] = None
            walk(step.get("steps", []))

    for name in ("steps", "on_failure", "finally"):
        walk(document.get(name, []))
    return list(found)


def _outcomes() -> st.SearchStrategy[Outcome]:
    fails = st.builds(Fails, st.sampled_from(["boom", "http_503"]), st.booleans())
    return st.just(Succeeds()) | st.just(Succeeds("other")) | fails


def _draw_steps(
    draw: st.DrawFn, sight: _Sight, plan: _Plan, *, depth: int, budget: list[int], has_races: bool
) -> list[JsonObject]:
    letters = "abcdefgh" if depth == 0 or draw(st.booleans()) else "pqrstuvw"
    count = min(budget[0], draw(st.integers(1, 6 if depth == 0 else 3)))
    is_explicit = draw(st.booleans())
    for number in range(max(1, count)):
        budget[0] -= 1
        step: JsonObject = {"id": letters[number]}
        before = _draw_after(draw, plan, step, is_explicit=is_explicit, has_races=has_races)
        hidden = set(letters[: max(1, count)])
        outer = tuple(name for name in sight.steps if name not in hidden)
        effects = (
            *(name for name in sight.effects if name not in hidden),
            *(name for name in before if _uses(plan, name) == EFFECT),
        )
        here = _Sight((*outer, *before), effects, sight.in_loop, sight.has_item, sight.has_previous, sight.in_handler)
        step["uses"] = _draw_kind(draw, depth, budget[0], is_last=number == max(1, count) - 1)
        _draw_body(draw, step, here, depth=depth, budget=budget, has_races=has_races)
        _note(plan, step, before)
    if is_explicit:
        return draw(st.permutations(plan.steps))
    return plan.steps


def _draw_kind(draw: st.DrawFn, depth: int, budget: int, *, is_last: bool) -> str:
    kinds = _KINDS if depth < _DEPTH_MAX and budget > 0 else tuple(kind for kind in _KINDS if kind not in _CONTAINERS)
    kind = draw(st.sampled_from(kinds))
    return EFFECT if kind == "flow.stop" and not is_last and draw(st.booleans()) else kind


def _draw_after(draw: st.DrawFn, plan: _Plan, step: JsonObject, *, is_explicit: bool, has_races: bool) -> tuple[str, ...]:
    """Writes `after` and `join`; gives the ids of all steps that come before on some path."""
    above = _id(plan.steps[-1]) if plan.steps else None
    exit_above = None if above is None else plan.exits[above]
    follows = above is None or (exit_above is not None and exit_above in plan.ports[above])
    if not is_explicit and follows and draw(st.booleans()):
        return () if above is None else (*plan.before[above], above)
    edges = [(source, port) for source, ports in plan.ports.items() for port in ports]
    least = draw(st.sampled_from([0, 1, 1, 2])) if len(edges) > 1 else min(1, len(edges))
    chosen = draw(st.lists(st.sampled_from(edges), min_size=least, max_size=3, unique=True)) if edges else []
    step["after"] = [
        source if port == plan.exits[source] and draw(st.booleans()) else f"{source}.{port}" for source, port in chosen
    ]
    sources = [source for source, _ in chosen]
    if len(chosen) > 1:
        joins = ["merge", *(["first"] if has_races else []), *(["all"] if len(set(sources)) == len(sources) else [])]
        step["join"] = draw(st.sampled_from(joins))
    reached = {name for source in sources for name in (*plan.before[source], source)}
    return tuple(name for name in plan.ports if name in reached)


def _note(plan: _Plan, step: JsonObject, before: tuple[str, ...]) -> None:
    name, uses = _id(step), str(step["uses"])
    ports = _PORTS.get(uses, ("done",))
    if uses in ("flow.stop", "flow.fail") and step.get("when", True) is True:
        ports = ()
    plan.steps.append(step)
    plan.before[name] = before
    plan.ports[name] = (*ports, *(() if uses == "flow.stop" else ("error",)))
    plan.exits[name] = {"flow.if": "true", "flow.switch": None}.get(uses, "done")


def _draw_handler(draw: st.DrawFn, sight: _Sight) -> list[JsonObject]:
    steps: list[JsonObject] = []
    names = ("x", "y")[: draw(st.integers(1, 2))]
    for name in names:
        step: JsonObject = {"id": name, "after": [], "uses": draw(st.sampled_from(_HANDLER_KINDS))}
        _draw_body(draw, step, sight, depth=_DEPTH_MAX, budget=[0], has_races=False)
        step.pop("compensate", None)
        steps.append(step)
    return steps


def _draw_body(draw: st.DrawFn, step: JsonObject, sight: _Sight, *, depth: int, budget: list[int], has_races: bool) -> None:
    uses = str(step["uses"])
    if uses != "flow.switch" and draw(st.integers(0, 4)) == 0:
        step["when"] = _draw_condition(draw, sight)
    if uses in _CONTAINERS:
        _draw_loop(draw, step, sight, depth=depth, budget=budget, has_races=has_races)
    else:
        step["with"] = _draw_parameters(draw, uses, sight)
    if uses not in ("flow.if", "flow.switch", "flow.stop") and draw(st.integers(0, 3)) == 0:
        step["on_error"] = "continue"
    if uses == EFFECT and draw(st.booleans()):
        step["retry"] = _draw_retry(draw)
    if uses in (EFFECT, "flow.foreach") and draw(st.booleans()):
        own = _Sight(
            (*sight.steps, _id(step)), sight.effects, sight.in_loop, sight.has_item, sight.has_previous, sight.in_handler
        )
        step["compensate"] = {"uses": EFFECT, "with": {"value": _draw_value(draw, own)}, "retry": _draw_retry(draw)}


def _draw_parameters(draw: st.DrawFn, uses: str, sight: _Sight) -> JsonObject:
    match uses:
        case "flow.if":
            return {"condition": _draw_condition(draw, sight)}
        case "flow.switch":
            return {"cases": {"one": _draw_condition(draw, sight), "two": _draw_condition(draw, sight)}}
        case "flow.set":
            return {"values": {"value": _draw_value(draw, sight)}}
        case "flow.wait":
            return {"for": draw(st.sampled_from(["1s", "2s", "5s"]))}
        case "flow.stop":
            return {"output": _draw_value(draw, sight)}
        case "flow.fail":
            return {"code": "given_up", "message": "It was given up."}
        case _:
            return {"value": _draw_value(draw, sight)}


def _draw_loop(draw: st.DrawFn, step: JsonObject, sight: _Sight, *, depth: int, budget: list[int], has_races: bool) -> None:
    with_: JsonObject
    is_foreach = step["uses"] == "flow.foreach"
    concurrency = draw(st.sampled_from([1, 1, 2, "unlimited"])) if is_foreach else 1
    if is_foreach:
        on_item_error = draw(st.sampled_from(["fail", "continue"]))
        with_ = {"items": _draw_items(draw, sight), "concurrency": concurrency, "on_item_error": on_item_error}
    else:
        on_item_error = "fail"
        until = draw(
            st.sampled_from(["${{ index >= 1 }}", "${{ output == null }}", "${{ input.yes }}", "${{ false }}", "${{ input.no }}"])
        )
        with_ = {"until": until, "limit": draw(st.integers(1, 3))}
        if draw(st.integers(0, 3)) == 0:
            with_["every"] = "2s"
    inner = _Sight(
        sight.steps,
        sight.effects,
        in_loop=True,
        has_item=is_foreach,
        has_previous=concurrency == 1,
        in_handler=sight.in_handler,
    )
    body = _draw_steps(draw, inner, _Plan(), depth=depth + 1, budget=budget, has_races=has_races)
    names = {_id(part) for part in body}
    closing = _Sight((*(name for name in sight.steps if name not in names), *(_id(part) for part in body)), in_loop=True)
    step["with"], step["steps"] = with_, [*body]
    if draw(st.booleans()):
        step["output"] = _draw_value(draw, closing)
    if concurrency == 1 and on_item_error == "fail" and draw(st.integers(0, 3)) == 0:
        step["break"] = _draw_condition(draw, closing)
    if draw(st.integers(0, 5)) == 0:
        step["timeout"] = draw(st.sampled_from(["3s", "60s"]))


def _draw_items(draw: st.DrawFn, sight: _Sight) -> JsonValue:
    choices: list[JsonValue] = [
        "${{ input.items }}",
        "${{ input.items }}",
        [1, 2],
        [0, 2, 1],
        "${{ input.empty }}",
        "${{ input.count }}",
    ]
    if sight.has_item:
        choices.append(["${{ item }}", 5])
    return draw(st.sampled_from(choices))


def _draw_retry(draw: st.DrawFn) -> JsonObject:
    retry: JsonObject = {
        "attempts": draw(st.integers(1, 3)),
        "backoff": draw(st.sampled_from(["fixed", "linear", "exponential"])),
        "initial": draw(st.sampled_from(["1s", "4s"])),
        "jitter": False,
    }
    if draw(st.booleans()):
        retry["on"] = draw(st.sampled_from([["boom"], ["http_*"], ["http_503", "boom"]]))
    return retry


def _draw_condition(draw: st.DrawFn, sight: _Sight) -> JsonValue:
    sound = [True, False, "${{ input.yes }}", "${{ input.no }}", "${{ input.count > 1 }}"]
    for name in sight.steps:
        sound += [f"${{{{ steps.{name}.status == 'completed' }}}}", f"${{{{ steps.{name}.output == null }}}}"]
        sound += [f"${{{{ steps.{name}.port == 'done' }}}}", f"${{{{ steps.{name}.error == null }}}}"]
    if sight.in_loop:
        sound.append("${{ index < 1 }}")
    if sight.has_item:
        sound.append("${{ item > 1 }}")
    if sight.in_handler:
        sound.append("${{ run.status == 'failed' }}")
    wrong = ["${{ input.word }}", "${{ input.absent }}"]
    return draw(st.sampled_from(wrong if draw(st.integers(0, 15)) == 0 else sound))


def _draw_value(draw: st.DrawFn, sight: _Sight) -> JsonValue:
    sound: list[JsonValue] = [1, "text", None, {"deep": ["${{ input.count }}"]}, "${{ input.items }}", "n ${{ input.count }}"]
    sound += [f"${{{{ steps.{name}.output }}}}" for name in sight.steps]
    sound += [f"${{{{ steps.{name}.status }}}}" for name in sight.steps]
    sound += [f"${{{{ steps.{name}.attempts }}}}" for name in sight.effects]
    if sight.in_loop:
        sound.append("${{ index }}")
    if sight.has_item:
        sound.append("${{ item }}")
    if sight.has_previous:
        sound.append("${{ previous }}")
    if sight.in_handler:
        sound.append("${{ run.status }}")
    wrong: list[JsonValue] = ["${{ input.absent }}", *(f"${{{{ steps.{name}.output.absent }}}}" for name in sight.steps)]
    return draw(st.sampled_from(wrong if draw(st.integers(0, 15)) == 0 else sound))


def _id(step: JsonObject) -> str:
    return str(step["id"])


def _uses(plan: _Plan, name: str) -> str:
    return str(next(step for step in plan.steps if step["id"] == name)["uses"])
