"""The workflow documents that the workloads run."""

from bench.operations import EFFECT
from flowforge.kit.values import JsonObject


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
