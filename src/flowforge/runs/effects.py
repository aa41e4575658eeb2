"""The effects ledger: what a run did to the world, read from its journal."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flowforge.engine.events import Event
from flowforge.kit.values import JsonValue
from flowforge.language.graph import Workflow
from flowforge.runs.outline import Outline
from flowforge.runs.types import Effect, EffectState, JournalTurn


@dataclass(slots=True)
class _Open:
    index: int
    is_apart: bool
    """A called run or a job: it reports its own end."""


class Ledger:
    """Reads a journal turn by turn. An effect whose outcome never came is unknown as soon as its worker lost the run, or the run ended.

    A called run or a job reports its own end, so that its row stays planned while its run is recovered.
    """

    def __init__(self, workflow: Workflow | None = None) -> None:
        self._outline = None if workflow is None else Outline(workflow)
        self._effects: list[Effect] = []
        self._open: dict[str, _Open] = {}

    def apply(self, turn: JournalTurn) -> None:
        for event in turn.events:
            self._apply_event(event, turn.at_ms)

    def list_effects(self) -> list[Effect]:
        """All effects in the order in which they were planned."""
        return list(self._effects)

    def _apply_event(self, event: Event, at_ms: int) -> None:
        if event["type"] == "step.planned":
            self._lose(event["step"], at_ms)
            self._open[event["step"]] = _Open(len(self._effects), is_apart="child" in event or "job" in event)
            operation = "" if self._outline is None else self._outline.operation_of(event["step"])
            self._effects.append(
                Effect(
                    step_key=event["step"],
                    attempt=event["attempt"],
                    operation=operation,
                    target=event.get("target"),
                    key=event["key"],
                    state=EffectState.PLANNED,
                    planned_at_ms=at_ms,
                    settled_at_ms=None,
                )
            )
        elif event["type"] == "step.completed":
            self._settle(event["step"], EffectState.CONFIRMED, at_ms)
        elif event["type"] == "step.failed":
            is_unknown = event["error"]["code"] == "outcome_unknown"
            self._settle(event["step"], EffectState.UNKNOWN if is_unknown else EffectState.FAILED, at_ms)
        elif event["type"] == "run.claimed":
            for key in [key for key, effect in self._open.items() if not effect.is_apart]:
                self._lose(key, at_ms)
        elif event["type"] == "run.mail" and event["kind"] == "job" and "lost" in event["body"]:
            self._lose_job(str(event["body"]["step"]), event["body"]["attempt"], at_ms)
        elif event["type"] == "run.finished":
            for key in list(self._open):
                self._lose(key, at_ms)

    def _lose_job(self, key: str, attempt: JsonValue, at_ms: int) -> None:
        opened = self._open.get(key)
        if opened is not None and self._effects[opened.index].attempt == attempt:
            self._lose(key, at_ms)

    def _lose(self, key: str, at_ms: int) -> None:
        self._settle(key, EffectState.UNKNOWN, at_ms)

    def _settle(self, key: str, state: EffectState, at_ms: int) -> None:
        opened = self._open.pop(key, None)
        if opened is not None:
            self._effects[opened.index] = replace(self._effects[opened.index], state=state, settled_at_ms=at_ms)


def read_effects(turns: Iterable[JournalTurn], workflow: Workflow | None = None) -> list[Effect]:
    """The ledger of a whole journal, or of its beginning."""
    ledger = Ledger(workflow)
    for turn in turns:
        ledger.apply(turn)
    return ledger.list_effects()
