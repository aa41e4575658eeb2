# Made by scripts/client_models.py from the asynchronous twin; do not edit.
"""Runs: starting, following, steering."""

import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, Unpack, cast

from flowforge_client._generated.models import (
    BulkAnswer,
    BulkBody,
    EffectAnswer,
    EventAnswer,
    LogAnswer,
    ResolveBody,
    RunAnswer,
    RunErrorAnswer,
    SentAnswer,
    SignalBody,
    StartBody,
    StepAnswer,
    WhyAnswer,
)
from flowforge_client._generated.models import RunRow as RunSummary
from flowforge_client._generated.sync_operations import Operations
from flowforge_client._generated.sync_pages import Pages
from flowforge_client._generated.sync_streams import follow_run
from flowforge_client._generated.sync_transport import Transport
from flowforge_client.options import ENDED, StartOptions
from flowforge_client.values import JsonValue, read_seconds

_WAIT_MOST_S: Final = 30.0
"""One request waits no longer, so that proxies in between do not end it."""


class Run:
    """One run, as it was when it was last asked for."""

    def __init__(self, runs: "Runs", data: RunAnswer) -> None:
        self._runs = runs
        self.data = data

    @property
    def id(self) -> str:
        return self.data["id"]

    @property
    def status(self) -> str:
        return self.data["status"]

    @property
    def has_ended(self) -> bool:
        return self.data["status"] in ENDED

    @property
    def input(self) -> JsonValue:
        return self.data["input"]

    @property
    def output(self) -> JsonValue:
        return self.data["output"]

    @property
    def error(self) -> RunErrorAnswer | None:
        return self.data["error"]

    def refresh(self) -> "Run":
        """Asks how the run stands now."""
        self.data = (self._runs.get(self.id)).data
        return self

    def wait(self, patience: str | float = "1m") -> "Run":
        """Waits until the run has ended, or the time is over (`30s`, `2m`, or seconds); `has_ended` and `status` tell which."""
        end_s = time.monotonic() + read_seconds(patience)
        after = self.data["last_seq"]
        while not self.has_ended:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                break
            wait_ms = max(1, int(min(left_s, _WAIT_MOST_S) * 1_000))
            page = self._runs.api.get_runs_one_events(self.id, after=after, limit=200, wait=f"{wait_ms}ms")
            after = page["data"][-1]["seq"] if page["data"] else after
            if page["has_ended"]:
                break
        return self.refresh()

    def events(self, *, after: int = 0) -> Generator[EventAnswer]:
        """Each event behind the number `after`, as it happens, until the run has ended; goes on by itself after a lost connection."""
        return self._runs.events(self.id, after=after)

    def cancel(self, reason: str | None = None) -> SentAnswer:
        return self._runs.cancel(self.id, reason)

    def pause(self) -> SentAnswer:
        return self._runs.pause(self.id)

    def resume(self) -> SentAnswer:
        return self._runs.resume(self.id)

    def retry(self, step: str | None = None, *, iteration: str = "") -> SentAnswer:
        return self._runs.retry(self.id, step, iteration=iteration)

    def skip(self, step: str, output: JsonValue = None, *, iteration: str = "") -> SentAnswer:
        return self._runs.skip(self.id, step, output, iteration=iteration)

    def resolve(self, step: str, *, happened: bool, output: JsonValue = None, iteration: str = "") -> SentAnswer:
        return self._runs.resolve(self.id, step, happened=happened, output=output, iteration=iteration)

    def signal(self, name: str, payload: JsonValue = None, *, key: str | None = None) -> SentAnswer:
        return self._runs.signal(self.id, name, payload, key=key)

    def steps(self) -> Pages[StepAnswer]:
        return self._runs.steps(self.id)

    def logs(self, *, step: str | None = None) -> Pages[LogAnswer]:
        return self._runs.logs(self.id, step=step)

    def effects(self) -> Pages[EffectAnswer]:
        return self._runs.effects(self.id)

    def why(self) -> WhyAnswer:
        return self._runs.why(self.id)


class Runs:
    """`client.runs`."""

    def __init__(self, transport: Transport, api: Operations) -> None:
        self._transport = transport
        self.api = api

    def start(
        self,
        workflow: str | None,
        input: JsonValue = None,  # noqa: A002 - the name that the API has for it
        *,
        document: Mapping[str, Any] | None = None,
        **options: Unpack[StartOptions],
    ) -> Run:
        """Starts a run: of a published workflow by its name or id, or (`workflow` None) of a `document` that is stored nowhere.

        The start has an idempotency key (its own, if none is given), so that it is sent again after a lost connection without starting two.

        Raises:
            ApiError: the workflow is not there (404), the input does not fit (422), or it takes no runs (409).
        """
        given: dict[str, Any] = {"workflow": workflow, "document": document, **options}
        wait, key = given.pop("wait", None), given.pop("idempotency_key", None)
        body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        body["input"] = {} if input is None else input
        answer = self.api.post_runs(cast("StartBody", body), wait=wait, idempotency_key=key or str(uuid.uuid4()))
        return Run(self, answer)

    def get(self, run_id: str) -> Run:
        return Run(self, self.api.get_runs_one(run_id))

    def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        workflow_id: str | None = None,
        subject: str | None = None,
        labels: Mapping[str, str] | None = None,
        where: Sequence[str] = (),
        sort: str | None = None,
    ) -> Pages[RunSummary]:
        """Runs, the newest first, over all pages. `where`: further conditions, as `started_at:ge:2026-03-01T00:00:00Z`."""
        statuses = [status] if isinstance(status, str) else status
        conditions = [*where]
        if statuses:
            conditions.append(f"status:in:{','.join(statuses)}")
        for field, value in (("workflow_id", workflow_id), ("subject", subject)):
            conditions += [] if value is None else [f"{field}:eq:{value}"]
        conditions += [f"labels.{name}:eq:{value}" for name, value in (labels or {}).items()]
        return Pages(lambda cursor: self.api.get_runs(where=conditions or None, sort=sort, cursor=cursor))

    def events(self, run_id: str, *, after: int = 0) -> Generator[EventAnswer]:
        """As `Run.events`."""
        return follow_run(self._transport, run_id, after)

    def cancel(self, run_id: str, reason: str | None = None) -> SentAnswer:
        return self.api.post_runs_one_cancel(run_id, {} if reason is None else {"reason": reason})

    def pause(self, run_id: str) -> SentAnswer:
        return self.api.post_runs_one_pause(run_id)

    def resume(self, run_id: str) -> SentAnswer:
        return self.api.post_runs_one_resume(run_id)

    def retry(self, run_id: str, step: str | None = None, *, iteration: str = "") -> SentAnswer:
        """Tries a step again that waits for a person; without a step, all that do."""
        if step is None:
            return self.api.post_runs_one_retry(run_id)
        return self.api.post_runs_one_steps_one_retry(run_id, step, iteration=iteration)

    def skip(self, run_id: str, step: str, output: JsonValue = None, *, iteration: str = "") -> SentAnswer:
        return self.api.post_runs_one_steps_one_skip(run_id, step, {"output": output}, iteration=iteration)

    def resolve(self, run_id: str, step: str, *, happened: bool, output: JsonValue = None, iteration: str = "") -> SentAnswer:
        """Says whether the effect of a step took place, of which nobody knows."""
        body: ResolveBody = {"happened": happened}
        if happened:
            body["output"] = output
        return self.api.post_runs_one_steps_one_resolve(run_id, step, body, iteration=iteration)

    def signal(
        self, run_id: str, name: str, payload: JsonValue = None, *, key: str | None = None, idempotency_key: str | None = None
    ) -> SentAnswer:
        """Sends a signal, once also where the connection is lost meanwhile. `key`: for waits with this key."""
        body: SignalBody = {"name": name, "payload": payload}
        if key is not None:
            body["key"] = key
        return self.api.post_runs_one_signals(run_id, body, idempotency_key=idempotency_key or str(uuid.uuid4()))

    def bulk(self, body: BulkBody) -> BulkAnswer:
        """Does the same to many runs; what takes longer goes on as a batch, whose id the answer has."""
        return cast("BulkAnswer", self.api.post_runs_bulk(body))

    def steps(self, run_id: str) -> Pages[StepAnswer]:
        return Pages(lambda cursor: self.api.get_runs_one_steps(run_id, cursor=cursor))

    def logs(self, run_id: str, *, step: str | None = None) -> Pages[LogAnswer]:
        return Pages(lambda cursor: self.api.get_runs_one_logs(run_id, step=step, cursor=cursor))

    def effects(self, run_id: str) -> Pages[EffectAnswer]:
        return Pages(lambda cursor: self.api.get_runs_one_effects(run_id, cursor=cursor))

    def why(self, run_id: str) -> WhyAnswer:
        """One true sentence: why the run is where it is."""
        return self.api.get_runs_one_why(run_id)
