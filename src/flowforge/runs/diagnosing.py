"""What went wrong in a run, whether others had the same, and what a person can do about it."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs import repository
from flowforge.runs.opened import OpenedRun
from flowforge.runs.types import StepRecord, WaitingFor, error_as_json

_WEEK_MS: Final = 7 * 86_400_000
_BASE: Final = "/api/v1/runs"

_ADVICE: Final = {
    "timeout": "It took longer than it may: look whether the other side is slow, or raise the step's `timeout`.",
    "secret_missing": "Set the secret that the error names, then try again.",
    "host_not_allowed": "The host is not among those that may be called: add it to EGRESS_ALLOW, or call another.",
    "outcome_unknown": "Look at the other side whether it happened, then resolve the step.",
    "not_installed": "Install the package that brings the operation.",
}
"""What helps, by an error's code."""


async def diagnose_run(session: AsyncSession, opened: OpenedRun, now_ms: int) -> JsonObject:
    """`{"sentence", "failing_step", "error", "same_error", "suggestions"}`."""
    failing = _find_failing(opened)
    error = _find_error(opened, failing)
    same = 0
    if failing is not None and error is not None:
        same = await repository.count_like_failures(
            session, opened.header.workspace_id, f"{failing.step}:{error['code']}", now_ms - _WEEK_MS
        )
    return {
        "sentence": opened.explain()["sentence"],
        "failing_step": None if failing is None else failing.key,
        "error": error,
        "same_error": same,
        "suggestions": _suggest(opened, failing, error),
    }


def _find_failing(opened: OpenedRun) -> StepRecord | None:
    """The step that ended the run, else the first that failed or waits because of an error."""
    finished = opened.run.history.finished
    named = None if finished is None else finished.get("error", {}).get("step")
    steps = {step.key: step for step in opened.steps}
    if named in steps:
        return steps[named]
    waits = [step for step in opened.steps if step.waits_for is not None and step.waits_for.kind in {"attention", "retry"}]
    failed = [step for step in opened.steps if step.status == "failed"]
    return next(iter([*waits, *failed]), None)


def _find_error(opened: OpenedRun, failing: StepRecord | None) -> JsonObject | None:
    finished = opened.run.history.finished
    found: JsonValue = None
    if finished is not None and "error" in finished:
        found = error_as_json(finished["error"])
    elif failing is not None and failing.error is not None:
        found = error_as_json(failing.error)
    elif failing is not None and failing.waits_for is not None:
        found = failing.waits_for.ref.get("error")
    if not isinstance(found, dict):
        return None
    step = found.get("step") or (None if failing is None else failing.key)
    return {"code": found["code"], "message": found["message"], "step": step}


def _suggest(opened: OpenedRun, failing: StepRecord | None, error: JsonObject | None) -> list[JsonValue]:
    suggestions: list[JsonValue] = []
    advice = None if error is None else _ADVICE.get(str(error["code"]))
    if advice is not None:
        suggestions.append({"text": advice})
    run_id = opened.header.id
    if opened.run.history.finished is not None:
        if error is not None:
            suggestions.append({"text": "Start it anew with the same input when the cause is gone.", "request": f"POST {_BASE}"})
        return suggestions
    if opened.run.history.is_paused:
        suggestions.append({"text": "The run is paused: resume it.", "request": f"POST {_BASE}/{run_id}/resume"})
    for wait in opened.run.history.list_waits():
        suggestions.extend(_suggest_for(run_id, wait))
    if failing is None and not suggestions:
        suggestions.append({"text": "Nothing is wrong: the run goes on."})
    return suggestions


def _suggest_for(run_id: str, wait: WaitingFor) -> list[JsonValue]:
    iteration, _, step = wait.step.rpartition("/")
    place = f"POST {_BASE}/{run_id}/steps/{step}"
    where = f"?iteration={iteration}" if iteration else ""
    if wait.kind == "signal":
        text = f"The step {wait.step} waits for the signal {wait.ref.get('name')}: send it."
        return [{"text": text, "request": f"POST {_BASE}/{run_id}/signals"}]
    if wait.kind == "retry":
        return [{"text": f"Try {wait.step} again now, if the cause is gone.", "request": f"{place}/retry{where}"}]
    if wait.kind != "attention":
        return []
    if wait.ref.get("reason") == "outcome_unknown":
        return [{"text": f"Say whether the effect of {wait.step} took place.", "request": f"{place}/resolve{where}"}]
    return [
        {"text": f"Try {wait.step} again.", "request": f"{place}/retry{where}"},
        {"text": f"Pass over {wait.step}, with an output of your own.", "request": f"{place}/skip{where}"},
    ]
