"""The workloads: how big each is, and the workflow documents that they run."""

from dataclasses import dataclass
from typing import Final

from flowforge.kit.values import JsonObject

EFFECT: Final = "bench.effect"
PURE: Final = "bench.pure"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each workload is run; the peer gets a smaller W2, stated in the report."""

    w1_steps: int = 40
    w1_rounds: int = 20
    w2_runs: int = 2_000
    w2_steps: int = 10
    w2_peer_runs: int = 100
    w2_rounds: int = 3
    w4_items: int = 500
    w4_rounds: int = 5
    w5_sleepers: int = 10_000
    w6_rounds: int = 5
    w7_outer: int = 1_000
    w7_inner: int = 100
    w7_store_runs: int = 1_000_000
    w7_probes: int = 200
    peer_rounds: int = 5


QUICK: Final = Sizes(
    w1_steps=3,
    w1_rounds=2,
    w2_runs=5,
    w2_steps=2,
    w2_peer_runs=2,
    w2_rounds=1,
    w4_items=5,
    w4_rounds=1,
    w5_sleepers=5,
    w6_rounds=1,
    w7_outer=20,
    w7_inner=10,
    w7_store_runs=200,
    w7_probes=3,
    peer_rounds=1,
)


def sequence(name: str, steps: int, operation: str) -> JsonObject:
    """`steps` light steps, one after the other."""
    return _document(name, [{"id": f"s{number}", "uses": operation, "with": {"value": number}} for number in range(steps)])


def fan_out(items: int) -> JsonObject:
    """One run: a foreach with a one-step body, everything at once, the results joined in the run's output."""
    body: JsonObject = {"id": "work", "uses": EFFECT, "with": {"value": "${{ item }}"}}
    loop: JsonObject = {
        "id": "items",
        "uses": "flow.foreach",
        "with": {"items": "${{ input.items }}", "concurrency": "unlimited"},
        "steps": [body],
        "output": "${{ steps.work.output.value }}",
    }
    return {**_document("fan-out", [loop]), "output": "${{ steps.items.output }}"}


def nested_loops() -> JsonObject:
    """W7: the items of `input.inner` inside those of `input.outer`, every step durable, one outer item after the other."""
    step: JsonObject = {"id": "work", "uses": EFFECT, "with": {"value": "${{ item }}"}}
    inner: JsonObject = {
        "id": "inner",
        "uses": "flow.foreach",
        "with": {"items": "${{ input.inner }}", "concurrency": "unlimited"},
        "steps": [step],
        "output": "${{ null }}",
    }
    outer: JsonObject = {
        "id": "outer",
        "uses": "flow.foreach",
        "with": {"items": "${{ input.outer }}"},
        "steps": [inner],
        "output": "${{ null }}",
    }
    return _document("nested-loops", [outer])


def sleeper() -> JsonObject:
    """W5: asleep until the time that the input names."""
    return _document("sleeper", [{"id": "sleep", "uses": "flow.wait", "with": {"until": "${{ input.until }}"}}])


def _document(name: str, steps: list[JsonObject]) -> JsonObject:
    return {"flowforge": 1, "name": name, "steps": [*steps]}
