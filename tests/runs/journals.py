"""Journals written by hand, a turn after another."""

from typing import Any, cast

from flowforge.engine.events import Event
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.runs.types import JournalTurn

RUN_ID = "run_" + "0" * 26


class Journal:
    """`add` appends a row of events at a time in milliseconds; each event is its type and its fields."""

    def __init__(self) -> None:
        self.turns: list[JournalTurn] = []

    def add(self, at_ms: int, *events: dict[str, Any]) -> None:
        self.turns.append(JournalTurn(len(self.turns) + 1, at_ms, cast("list[Event]", list(events))))

    def begin(self, at_ms: int = 1_000, **fields: Any) -> None:
        """The first row."""
        pinned = {"id": "wf_1", "name": "order", "version": 3, "digest": "d"}
        started = {"run": RUN_ID, "workspace": DEFAULT_WORKSPACE_ID, "workflow": pinned, "input": {"n": 1}, "vars": {}}
        self.add(at_ms, {"type": "run.started", "trigger": {"kind": "manual"}, "actor": "user:ann", **started, **fields})


def planned(step: str, attempt: int = 1, **fields: Any) -> dict[str, Any]:
    return {"type": "step.planned", "step": step, "attempt": attempt, "key": f"key of {step}", "digest": "p", **fields}


def completed(step: str, output: Any = None, port: str = "done", **fields: Any) -> dict[str, Any]:
    return {"type": "step.completed", "step": step, "port": port, "output": output, **fields}


def failed(step: str, code: str = "nope", retry_at: int | None = None, attempt: int = 1) -> dict[str, Any]:
    error = {"code": code, "message": "It did not work."}
    return {"type": "step.failed", "step": step, "attempt": attempt, "error": error, "retry_at": retry_at}


def waiting(step: str, kind: str = "timer", **fields: Any) -> dict[str, Any]:
    return {"type": "step.waiting", "step": step, "kind": kind, **fields}


def mail(kind: str, by: str = "user:bob", **body: Any) -> dict[str, Any]:
    return {"type": "run.mail", "no": 1, "kind": kind, "body": body, "by": by}


def claimed(epoch: int = 2) -> dict[str, Any]:
    return {"type": "run.claimed", "epoch": epoch, "worker": 7, "why": "expired"}


def finished(status: str = "completed", **fields: Any) -> dict[str, Any]:
    return {"type": "run.finished", "status": status, **fields}
