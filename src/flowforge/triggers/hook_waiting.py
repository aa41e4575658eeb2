"""The answer of a workflow to the request that started it: the run's output, or what a step `webhook.respond` gave."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

from flowforge.engine.events import BlobRef, Event
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs import service as runs
from flowforge.runs.starting import Runner, RunReader
from flowforge.runs.types import JournalTurn, RunHeader
from flowforge.triggers.ports import RunNews
from flowforge.web.calls import Parts

WAIT_MAX_S: Final = 30.0
RESPOND: Final = "webhook.respond"
_LOOK_EVERY_S: Final = 0.1
"""Where nobody tells of news of steps."""
_PAUSE_S: Final = 0.02
"""After news came early, so that a run that stands still is not asked without end."""
_LOOK_AT_LEAST_S: Final = 1.0
"""Where somebody does."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found: a step's answer, or the end of the run (`status`, `output`, `error`)."""

    answer: JsonObject | None = None
    status: str = ""
    output: JsonValue = None
    error: JsonObject | None = None


@dataclass(slots=True)
class _Reader:
    """Reads a run's journal as it grows."""

    parts: Parts
    workspace_id: str
    run_id: str
    wants_step: bool
    seen_seq: int = 0
    respond_paths: frozenset[tuple[str, ...]] = field(default_factory=frozenset[tuple[str, ...]])
    header: RunHeader | None = None

    async def look(self) -> Outcome | None:
        """What there is to answer with by now."""
        for turn in await self._read_turns():
            self.seen_seq = max(self.seen_seq, turn.seq)
            for event in turn.events:
                found = self._judge(event)
                if found is not None:
                    return found
        return None

    async def _read_turns(self) -> list[JournalTurn]:
        async with self.parts.database.read() as session:
            if self.header is None and self.wants_step:
                loaded = await runs.load_run(session, self.workspace_id, self.run_id, compile_definition=_compile_nothing)
                self.header = loaded.header
                self.respond_paths = frozenset(_list_respond_paths(loaded.definition))
                return loaded.turns
            if self.header is None:
                self.header = await runs.get_run(session, self.workspace_id, self.run_id)
            return await runs.read_journal(session, self.header, after_seq=self.seen_seq)

    def _judge(self, event: Event) -> Outcome | None:
        if event["type"] == "run.finished":
            output = self._find_value(event.get("output"), event.get("blob"))
            return Outcome(status=event["status"], output=output, error=cast("JsonObject | None", event.get("error")))
        if event["type"] == "step.completed" and self.wants_step and _find_path(event["step"]) in self.respond_paths:
            answer = self._find_value(event.get("output"), event.get("blob"))
            return Outcome(answer=answer) if isinstance(answer, dict) else None
        return None

    def _find_value(self, value: JsonValue, blob: BlobRef | None) -> JsonValue:
        return value if blob is None else self.parts.port(RunReader).load_blob(blob)


async def wait_for_outcome(
    parts: Parts, workspace_id: str, run_id: str, run_no: int, *, wants_step: bool, within_s: float
) -> Outcome | None:
    """Waits for the run's end, or for its first answer; None: it takes longer than that."""
    reader = _Reader(parts, workspace_id, run_id, wants_step)
    deadline_s = parts.clock.monotonic_s() + within_s
    while True:
        left_s = deadline_s - parts.clock.monotonic_s()
        # Listening begins before looking: what comes between the two is not missed.
        news = asyncio.create_task(_wait_for_news(parts, run_no, max(left_s, 0), wants_step=wants_step))
        try:
            await asyncio.sleep(0)
            found = await reader.look()
            if found is not None or left_s <= 0:
                return found
            await news
        finally:
            news.cancel()


async def _wait_for_news(parts: Parts, run_no: int, left_s: float, *, wants_step: bool) -> None:
    news = cast("RunNews | None", parts.ports.get(RunNews))
    if news is not None:
        await news.wait_for_news(run_no, min(left_s, _LOOK_AT_LEAST_S))
        return
    # The runner tells of the run's end, and that it stands still (then at once, however often it is asked), but of no steps.
    began_s = parts.clock.monotonic_s()
    await parts.port(Runner).wait(run_no, min(left_s, _LOOK_EVERY_S if wants_step else _LOOK_AT_LEAST_S))
    if parts.clock.monotonic_s() - began_s < _LOOK_EVERY_S:
        await asyncio.sleep(min(left_s, _PAUSE_S))


def _compile_nothing(_document: JsonObject) -> None:
    """The document alone says which steps answer."""


def _list_respond_paths(definition: JsonObject, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The ids of the steps that answer, each behind those of the loops around it."""
    phases = (definition.get(phase) for phase in ("steps", "on_failure", "finally"))
    listed = (step for steps in phases if isinstance(steps, list) for step in steps)
    for step in listed:
        if not isinstance(step, dict):
            continue
        path = (*before, str(step.get("id")))
        if step.get("uses") == RESPOND:
            yield path
        yield from _list_respond_paths(step, path)


def _find_path(key: str) -> tuple[str, ...]:
    """The ids of a step's key: `items.3/pages.0/fetch` is in `items`, `pages`."""
    return tuple(part.partition(".")[0] for part in key.split("/") if not part.startswith("~"))
