"""Why a run waits: the causes, from its state or its queue row, and one true sentence."""

from typing import Final, cast

from flowforge.engine.machine.state import RunState
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_duration_ms, format_timestamp_ms

_CAUSES_MAX: Final = 20


def run_status(state: RunState) -> str:
    """queued is the store's word; all others follow from the state."""
    if state.is_finished:
        return state.status
    if state.is_paused:
        return "paused"
    if state.parked:
        return "waiting"
    # A job is work, wherever it is done, and also while it waits for a worker.
    is_busy = bool(state.ready or state.unknown or state.aborting) or any(
        attempt.child is None for attempt in state.open.values()
    )
    return "running" if is_busy or not state.waits else "waiting"


def explain_state(state: RunState) -> JsonObject:
    """`{"causes": [{"kind", "step", "since", "until"?, "ref"?}], "more"?}`: why the run is where it is; times in ms since 1970.

    Kinds: timer, signal, slot, child, job, retry, breaker (a retry that waits for a host), person, every, paused, running.
    """
    causes: list[JsonValue] = []
    if state.is_paused:
        causes.append({"kind": "paused", "step": "", "since": state.at})
    order = {"person": 0, "signal": 1, "child": 2, "slot": 3, "timer": 4, "retry": 5, "job": 6}
    waits = sorted(state.waits.items(), key=lambda pair: (order.get(pair[1].kind, 9), pair[1].until or 0))
    for key, wait in waits[:_CAUSES_MAX]:
        kind = "breaker" if "host" in wait.ref else wait.kind
        cause: JsonObject = {"kind": kind, "step": key, "since": wait.since}
        if wait.until is not None:
            cause["until"] = wait.until
        if wait.ref:
            cause["ref"] = wait.ref
        causes.append(cause)
    for which, due in list(state.timers.items())[:_CAUSES_MAX]:
        if which.startswith("every:"):
            causes.append({"kind": "every", "step": which.removeprefix("every:"), "since": state.at, "until": due})
    for key, attempt in list(state.open.items())[:_CAUSES_MAX]:
        if attempt.is_local:
            causes.append({"kind": "running", "step": key, "since": attempt.planned_at, "ref": {"attempt": attempt.attempt}})
    explained: JsonObject = {"causes": causes}
    if len(state.waits) > _CAUSES_MAX:
        explained["more"] = len(state.waits) - _CAUSES_MAX
    return explained


def say_why(explained: JsonObject, now_ms: int) -> str:
    """The first cause as a sentence for a person."""
    causes = cast("list[JsonObject]", explained["causes"])
    if not causes:
        return "The run goes on; it waits for nothing."
    sentence = _say_cause(causes[0], now_ms)
    others = len(causes) - 1 + cast("int", explained.get("more", 0))
    return sentence if not others else f"{sentence} {others} more {'step waits' if others == 1 else 'steps wait'} besides."


def _say_cause(cause: JsonObject, now_ms: int) -> str:
    sentence = _SENTENCES.get(str(cause["kind"]), _SENTENCES["timer"])
    ref = cast("JsonObject", cause.get("ref", {}))
    until = cast("int | None", cause.get("until"))
    since = cast("int", cause.get("since", now_ms))
    key = f" with the key {ref['key']}" if "key" in ref else ""
    words: JsonObject = {
        **ref,
        "step": cause.get("step"),
        "since": format_timestamp_ms(since),
        "until": "" if until is None else format_timestamp_ms(until),
        "in_time": _say_when(until, now_ms),
        "until_end": "" if until is None else f", until {format_timestamp_ms(until)}",
        "with_key": key,
        "cause": _REASONS.get(str(ref.get("reason")), str(ref.get("reason"))),
        "limit_name": str(ref.get("scope", "")).split(":", 2)[-1],
    }
    return sentence.format_map(words)


_SENTENCES: Final = {
    "paused": "The run is paused by a person, and goes on when it is resumed.",
    "person": "The step {step} waits for a person ({cause}): retry, skip or resolve it.",
    "signal": "The step {step} waits for the signal {name}{with_key}{until_end}.",
    "child": "The step {step} waits for the run {run} of the workflow {workflow} to end.",
    "slot": "The step {step} waits for a place: its limit {limit_name} is reached.",
    "retry": "The step {step} failed with {code} and is tried again {in_time}.",
    "breaker": "The step {step} waits for {host}, which failed too often: its circuit breaker is open, and it is tried again {in_time}.",
    "every": "The loop {step} begins its next iteration {in_time}.",
    "running": "The step {step} runs, attempt {attempt}, since {since}.",
    "job": "The step {step} is a job of the queue {queue}, attempt {attempt}, since {since}: "
    "it runs, or waits for a worker that serves this queue.",
    "newer": "The run was made by a newer version of FlowForge, and waits for a worker of that version.",
    "timer": "The step {step} waits for the time {until}, {in_time}.",
    "concurrency": "The run is queued: other runs hold all places of its workflow's `concurrency`.",
    "queued": "The run is queued and waits for a worker.",
    "fault": "The run is set aside: {reason}",
}

_REASONS: Final = {
    "outcome_unknown": "a worker died and nobody knows whether its effect took place",
    "poison": "it ended its worker again and again",
    "error": "its last attempt failed",
}


def _say_when(until: int | None, now_ms: int) -> str:
    if until is None or until <= now_ms:
        return "now"
    return f"in {format_duration_ms(max(until - now_ms, 1_000) // 1_000 * 1_000)}"
