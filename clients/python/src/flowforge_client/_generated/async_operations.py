"""A method for each route of the API: `client.api.<operation id>(...)`.

Made by scripts/client_models.py; do not edit.
"""

from __future__ import annotations

from typing import Literal, cast

from flowforge_client._async.transport import AsyncTransport
from flowforge_client._generated import models
from flowforge_client.paths import make_path
from flowforge_client.values import FormFile, JsonValue


class AsyncOperations:
    """What the server can do, route by route."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def post_runs(
        self, body: models.StartBody, *, wait: str | None = None, idempotency_key: str | None = None
    ) -> models.RunAnswer:
        """Start a run.

        The run exists when this is answered. With `wait` the answer comes when the run has ended or needs somebody (200, or 202 when the time
        is over first). With an `Idempotency-Key` the same request gives the same run for 24 hours, with `Idempotency-Replayed: true`.
        """
        return cast(
            "models.RunAnswer",
            await self._transport.ask(
                "POST", "/api/v1/runs", query={"wait": wait}, headers={"Idempotency-Key": idempotency_key}, json=body
            ),
        )

    async def get_runs(
        self, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None, sort: str | None = None
    ) -> models.RunPage:
        """Runs, the newest first."""
        return cast(
            "models.RunPage",
            await self._transport.ask(
                "GET", "/api/v1/runs", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort}
            ),
        )

    async def get_runs_one_events(
        self,
        run_id: str,
        *,
        after: int | None = None,
        limit: int | None = None,
        wait: str | None = None,
        last_event_id: str | None = None,
    ) -> models.EventPage:
        """The events of a run.

        With `Accept: text/event-stream` it is a stream that begins behind `after` and ends when the run has ended; else a page.
        """
        return cast(
            "models.EventPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/runs/{run_id}/events", run_id=run_id),
                query={"after": after, "limit": limit, "wait": wait},
                headers={"Last-Event-ID": last_event_id},
            ),
        )

    async def post_event_subscriptions(self, body: models.SubscriptionBody) -> models.SubscriptionCreatedAnswer:
        """Subscribe to events, from now on. They come as signed webhooks (Standard Webhooks), in any order, at least once."""
        return cast(
            "models.SubscriptionCreatedAnswer", await self._transport.ask("POST", "/api/v1/event-subscriptions", json=body)
        )

    async def get_event_subscriptions(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.SubscriptionAnswerPage:
        """All event subscriptions of the workspace."""
        return cast(
            "models.SubscriptionAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/event-subscriptions",
                query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q},
            ),
        )

    async def get_event_subscriptions_one(self, subscription_id: str) -> models.SubscriptionAnswer:
        """An event subscription."""
        return cast(
            "models.SubscriptionAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/event-subscriptions/{subscription_id}", subscription_id=subscription_id)
            ),
        )

    async def patch_event_subscriptions_one(
        self, subscription_id: str, body: models.SubscriptionChange
    ) -> models.SubscriptionAnswer:
        """Change where events are sent, which, or whether."""
        return cast(
            "models.SubscriptionAnswer",
            await self._transport.ask(
                "PATCH", make_path("/api/v1/event-subscriptions/{subscription_id}", subscription_id=subscription_id), json=body
            ),
        )

    async def delete_event_subscriptions_one(self, subscription_id: str) -> None:
        """End a subscription. What was not delivered yet never is."""
        await self._transport.send(
            "DELETE", make_path("/api/v1/event-subscriptions/{subscription_id}", subscription_id=subscription_id)
        )

    async def get_event_subscriptions_one_deliveries(
        self,
        subscription_id: str,
        *,
        status: models.DeliveryStatus | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.SubscriptionDeliveryAnswerPage:
        """What was sent, is about to be, or became a dead letter; the newest first."""
        return cast(
            "models.SubscriptionDeliveryAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/event-subscriptions/{subscription_id}/deliveries", subscription_id=subscription_id),
                query={"status": status, "limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q},
            ),
        )

    async def post_event_subscriptions_one_deliveries_one_redrive(
        self, subscription_id: str, delivery_id: str
    ) -> models.SubscriptionDeliveryAnswer:
        """Send a dead letter again."""
        return cast(
            "models.SubscriptionDeliveryAnswer",
            await self._transport.ask(
                "POST",
                make_path(
                    "/api/v1/event-subscriptions/{subscription_id}/deliveries/{delivery_id}/redrive",
                    subscription_id=subscription_id,
                    delivery_id=delivery_id,
                ),
            ),
        )

    async def get_notifications(
        self,
        *,
        unread: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.NotificationAnswerPage:
        """One's own notifications, the newest first."""
        return cast(
            "models.NotificationAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/notifications",
                query={"unread": unread, "limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q},
            ),
        )

    async def post_notifications_one_read(self, notification_id: str) -> None:
        """Mark a notification as read."""
        await self._transport.send(
            "POST", make_path("/api/v1/notifications/{notification_id}/read", notification_id=notification_id)
        )

    async def get_runs_groups(
        self,
        *,
        by: Literal["error_key", "status", "workflow_id"],
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
    ) -> models.SchemaGroupAnswerPage:
        """How many runs there are of each kind, the most frequent first."""
        return cast(
            "models.SchemaGroupAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/runs/groups", query={"by": by, "limit": limit, "cursor": cursor, "where": where}
            ),
        )

    async def post_runs_bulk(self, body: models.BulkBody, *, wait: str | None = None) -> models.BulkAnswer | models.BatchAnswer:
        """Do the same with many runs. The ids are all looked at first: where one is unknown, nothing is done.

        `where` has no limit; runs that the action does not fit (ended ones, but for `delete`) are left out.
        """
        return cast(
            "models.BulkAnswer | models.BatchAnswer",
            await self._transport.ask("POST", "/api/v1/runs/bulk", query={"wait": wait}, json=body),
        )

    async def get_runs_one(self, run_id: str, *, wait: str | None = None) -> models.RunAnswer:
        """A run: where it stands, what it waits for, its input and output."""
        return cast(
            "models.RunAnswer",
            await self._transport.ask("GET", make_path("/api/v1/runs/{run_id}", run_id=run_id), query={"wait": wait}),
        )

    async def patch_runs_one(self, run_id: str, body: models.ChangeRunBody, *, if_match: str | None = None) -> models.RunRow:
        """Change labels, subject or priority of a run (JSON Merge Patch).

        Lists find it by them at once. Of a run that has ended labels and subject can still be changed. What it has begun keeps its priority.
        """
        return cast(
            "models.RunRow",
            await self._transport.ask(
                "PATCH", make_path("/api/v1/runs/{run_id}", run_id=run_id), headers={"If-Match": if_match}, json=body
            ),
        )

    async def delete_runs_one(self, run_id: str) -> None:
        """Take away a run that has ended, with its journal and logs."""
        await self._transport.send("DELETE", make_path("/api/v1/runs/{run_id}", run_id=run_id))

    async def get_runs_one_logs(
        self,
        run_id: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        step: str | None = None,
        iteration: str | None = None,
        level: str | None = None,
    ) -> models.LogAnswerPage:
        """What the steps wrote, in the order in which it was stored."""
        return cast(
            "models.LogAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/runs/{run_id}/logs", run_id=run_id),
                query={"limit": limit, "cursor": cursor, "step": step, "iteration": iteration, "level": level},
            ),
        )

    async def get_runs_one_effects(
        self, run_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> models.EffectAnswerPage:
        """What the run did to the world: planned, confirmed, failed, or unknown. In the order in which it was planned."""
        return cast(
            "models.EffectAnswerPage",
            await self._transport.ask(
                "GET", make_path("/api/v1/runs/{run_id}/effects", run_id=run_id), query={"limit": limit, "cursor": cursor}
            ),
        )

    async def get_runs_one_tree(
        self, run_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> models.RelativeAnswerPage:
        """The runs that called this one, the run itself, and those that it called, each below the one that called it."""
        return cast(
            "models.RelativeAnswerPage",
            await self._transport.ask(
                "GET", make_path("/api/v1/runs/{run_id}/tree", run_id=run_id), query={"limit": limit, "cursor": cursor}
            ),
        )

    async def get_runs_one_why(self, run_id: str) -> models.WhyAnswer:
        """One true sentence: why the run is where it is; and its causes."""
        return cast("models.WhyAnswer", await self._transport.ask("GET", make_path("/api/v1/runs/{run_id}/why", run_id=run_id)))

    async def get_runs_one_diagnose(self, run_id: str) -> models.DiagnosisAnswer:
        """What went wrong, whether it is new, and what helps."""
        return cast(
            "models.DiagnosisAnswer", await self._transport.ask("GET", make_path("/api/v1/runs/{run_id}/diagnose", run_id=run_id))
        )

    async def get_runs_one_export(self, run_id: str) -> JsonValue:
        """The run as one JSON document: definition, journal, effects. Secrets are in it by name only."""
        return await self._transport.ask("GET", make_path("/api/v1/runs/{run_id}/export", run_id=run_id))

    async def get_runs_one_steps(
        self,
        run_id: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        step: str | None = None,
        status: Literal["pending", "ready", "running", "waiting", "completed", "failed", "skipped", "bypassed", "cancelled"]
        | None = None,
        container: str | None = None,
        iteration: str | None = None,
        counts: bool | None = None,
        buckets: int | None = None,
    ) -> models.StepsPage:
        """The steps in the order of the document; in loops iteration by iteration."""
        return cast(
            "models.StepsPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/runs/{run_id}/steps", run_id=run_id),
                query={
                    "limit": limit,
                    "cursor": cursor,
                    "step": step,
                    "status": status,
                    "container": container,
                    "iteration": iteration,
                    "counts": counts,
                    "buckets": buckets,
                },
            ),
        )

    async def get_runs_one_steps_one(self, run_id: str, step: str, *, iteration: str | None = None) -> models.WholeStepAnswer:
        """A step with all its attempts, and its values as they are. Secrets are in no input."""
        return cast(
            "models.WholeStepAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/runs/{run_id}/steps/{step}", run_id=run_id, step=step), query={"iteration": iteration}
            ),
        )

    async def post_runs_one_cancel(self, run_id: str, body: models.CancelBody | None = None) -> models.SentAnswer:
        """End a run: nothing new begins, steps in flight get 10 s, `finally` runs."""
        return cast(
            "models.SentAnswer",
            await self._transport.ask("POST", make_path("/api/v1/runs/{run_id}/cancel", run_id=run_id), json=body),
        )

    async def post_runs_one_pause(self, run_id: str) -> models.SentAnswer:
        """Begin no further step until the run is resumed. Steps in flight end, timers go on."""
        return cast(
            "models.SentAnswer", await self._transport.ask("POST", make_path("/api/v1/runs/{run_id}/pause", run_id=run_id))
        )

    async def post_runs_one_resume(self, run_id: str) -> models.SentAnswer:
        """Let a paused run go on."""
        return cast(
            "models.SentAnswer", await self._transport.ask("POST", make_path("/api/v1/runs/{run_id}/resume", run_id=run_id))
        )

    async def post_runs_one_retry(self, run_id: str) -> models.SentAnswer:
        """Try every step again that waits for a person or for its next attempt."""
        return cast(
            "models.SentAnswer", await self._transport.ask("POST", make_path("/api/v1/runs/{run_id}/retry", run_id=run_id))
        )

    async def patch_runs_one_input(self, run_id: str, body: JsonValue) -> models.SentAnswer:
        """Correct the input of an open run. What is evaluated later sees it; the journal keeps both."""
        return cast(
            "models.SentAnswer",
            await self._transport.ask("PATCH", make_path("/api/v1/runs/{run_id}/input", run_id=run_id), json=body),
        )

    async def post_runs_one_steps_one_retry(self, run_id: str, step: str, *, iteration: str | None = None) -> models.SentAnswer:
        """Try a step again that waits for a person, or for its next attempt."""
        return cast(
            "models.SentAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/runs/{run_id}/steps/{step}/retry", run_id=run_id, step=step),
                query={"iteration": iteration},
            ),
        )

    async def post_runs_one_steps_one_skip(
        self, run_id: str, step: str, body: models.OutputBody | None = None, *, iteration: str | None = None
    ) -> models.SentAnswer:
        """Pass over a step that waits, with an output of your own (else null)."""
        return cast(
            "models.SentAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/runs/{run_id}/steps/{step}/skip", run_id=run_id, step=step),
                query={"iteration": iteration},
                json=body,
            ),
        )

    async def post_runs_one_steps_one_resolve(
        self, run_id: str, step: str, body: models.ResolveBody, *, iteration: str | None = None
    ) -> models.SentAnswer:
        """Say whether the effect of a step took place of which nobody knows.

        It did: the step is completed with `output`. It did not: the step is done again under the same key.
        """
        return cast(
            "models.SentAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/runs/{run_id}/steps/{step}/resolve", run_id=run_id, step=step),
                query={"iteration": iteration},
                json=body,
            ),
        )

    async def post_runs_one_signals(
        self, run_id: str, body: models.SignalBody, *, idempotency_key: str | None = None
    ) -> models.SentAnswer:
        """Send a signal to a run. It is kept until a step of the run waits for it."""
        return cast(
            "models.SentAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/runs/{run_id}/signals", run_id=run_id),
                headers={"Idempotency-Key": idempotency_key},
                json=body,
            ),
        )

    async def post_signals(self, body: models.SignalBody, *, idempotency_key: str | None = None) -> models.SignalledAnswer:
        """Send a signal to every run of the workspace that waits for it, now or within 24 hours."""
        return cast(
            "models.SignalledAnswer",
            await self._transport.ask("POST", "/api/v1/signals", headers={"Idempotency-Key": idempotency_key}, json=body),
        )

    async def get_batches_one(self, batch_id: str) -> models.BatchAnswer:
        """Long work: how far it is, and its result at the end. Who began it sees it, and who may see all runs."""
        return cast(
            "models.BatchAnswer", await self._transport.ask("GET", make_path("/api/v1/batches/{batch_id}", batch_id=batch_id))
        )

    async def post_batches_one_stop(self, batch_id: str) -> models.BatchAnswer:
        """Begin nothing further of it. What is done stays done. Who began it may, and who may operate all runs."""
        return cast(
            "models.BatchAnswer",
            await self._transport.ask("POST", make_path("/api/v1/batches/{batch_id}/stop", batch_id=batch_id)),
        )

    async def get_resume_one(self, token: str) -> str:
        """A page with a button. It changes nothing: programs that look at mails open links."""
        return await self._transport.ask_text("GET", make_path("/resume/{token}", token=token))

    async def post_resume_one(self, token: str, body: JsonValue | None = None) -> models.ResumedAnswer:
        """Send the signal that the link is for. `payload` is what the waiting step gives."""
        return cast(
            "models.ResumedAnswer", await self._transport.ask("POST", make_path("/resume/{token}", token=token), json=body)
        )

    async def post_workflows(
        self, body: models.CreateWorkflowBody, *, allow_faults: bool | None = None
    ) -> models.BodieCreatedAnswer:
        """Make a workflow and its draft. All faults of the document are told at once, with line and column."""
        return cast(
            "models.BodieCreatedAnswer",
            await self._transport.ask("POST", "/api/v1/workflows", query={"allow_faults": allow_faults}, json=body),
        )

    async def get_workflows(
        self,
        *,
        include_deleted: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.WorkflowRowAnswerPage:
        """The workflows that the caller may read, and the public ones."""
        return cast(
            "models.WorkflowRowAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/workflows",
                query={
                    "include_deleted": include_deleted,
                    "limit": limit,
                    "cursor": cursor,
                    "where": where,
                    "sort": sort,
                    "q": q,
                },
            ),
        )

    async def post_workflows_validate(self, body: models.ValidateBody) -> models.ValidatedAnswer:
        """Check a document without keeping it: all faults at once, with line and column, and how large and tangled it is."""
        return cast("models.ValidatedAnswer", await self._transport.ask("POST", "/api/v1/workflows/validate", json=body))

    async def get_workflows_one(self, workflow: str, *, include_deleted: bool | None = None) -> models.WorkflowRowAnswer:
        """One workflow, by id or name."""
        return cast(
            "models.WorkflowRowAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/workflows/{workflow}", workflow=workflow), query={"include_deleted": include_deleted}
            ),
        )

    async def patch_workflows_one(
        self, workflow: str, body: models.ChangeWorkflowBody, *, if_match: str | None = None
    ) -> models.WorkflowAnswer:
        """Change what a workflow has beside its document (JSON Merge Patch). Runs in flight are not touched."""
        return cast(
            "models.WorkflowAnswer",
            await self._transport.ask(
                "PATCH", make_path("/api/v1/workflows/{workflow}", workflow=workflow), headers={"If-Match": if_match}, json=body
            ),
        )

    async def delete_workflows_one(self, workflow: str, *, force: bool | None = None, permanent: bool | None = None) -> None:
        """Delete a workflow so that it can be restored; its versions and runs stay. With open runs it is refused, or `force` cancels them."""
        await self._transport.send(
            "DELETE", make_path("/api/v1/workflows/{workflow}", workflow=workflow), query={"force": force, "permanent": permanent}
        )

    async def post_workflows_one_restore(self, workflow: str) -> models.WorkflowAnswer:
        """Bring back a deleted workflow: by id, or the one of that name that was deleted last. Its triggers are live again."""
        return cast(
            "models.WorkflowAnswer",
            await self._transport.ask("POST", make_path("/api/v1/workflows/{workflow}/restore", workflow=workflow)),
        )

    async def get_workflows_one_draft(self, workflow: str) -> models.DraftAnswer:
        """The draft with its present faults."""
        return cast(
            "models.DraftAnswer",
            await self._transport.ask("GET", make_path("/api/v1/workflows/{workflow}/draft", workflow=workflow)),
        )

    async def put_workflows_one_draft(
        self,
        workflow: str,
        body: models.DocumentBody,
        *,
        allow_faults: bool | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> models.SavedDraftAnswer:
        """Replace the draft: with `If-Match` and the ETag that was read, or `If-None-Match: *` for the first one.

        A document with faults is refused, all of them told; `allow_faults` keeps it as it is.
        """
        return cast(
            "models.SavedDraftAnswer",
            await self._transport.ask(
                "PUT",
                make_path("/api/v1/workflows/{workflow}/draft", workflow=workflow),
                query={"allow_faults": allow_faults},
                headers={"If-Match": if_match, "If-None-Match": if_none_match},
                json=body,
            ),
        )

    async def delete_workflows_one_draft(self, workflow: str, *, if_match: str | None = None) -> None:
        """Throw the draft away. What is published stays."""
        await self._transport.send(
            "DELETE", make_path("/api/v1/workflows/{workflow}/draft", workflow=workflow), headers={"If-Match": if_match}
        )

    async def post_workflows_one_publish(
        self, workflow: str, body: models.NoteBody | None = None, *, if_match: str | None = None
    ) -> models.PublishedAnswer:
        """Make the draft the next version, which new runs take from now on. Its triggers are live from the same moment."""
        return cast(
            "models.PublishedAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/workflows/{workflow}/publish", workflow=workflow),
                headers={"If-Match": if_match},
                json=body,
            ),
        )

    async def post_workflows_one_deprecate(self, workflow: str, body: models.NoteBody | None = None) -> models.WorkflowAnswer:
        """Take no new runs; open ones go on, triggers are off. Publishing brings it back."""
        return cast(
            "models.WorkflowAnswer",
            await self._transport.ask("POST", make_path("/api/v1/workflows/{workflow}/deprecate", workflow=workflow), json=body),
        )

    async def post_workflows_one_revert(
        self, workflow: str, body: models.RevertBody, *, if_match: str | None = None
    ) -> models.DraftAnswer:
        """Make the document of a version the draft again. What is published stays. `If-Match` replaces the draft that is there."""
        return cast(
            "models.DraftAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/workflows/{workflow}/revert", workflow=workflow),
                headers={"If-Match": if_match},
                json=body,
            ),
        )

    async def get_workflows_one_versions(
        self,
        workflow: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.VersionAnswerPage:
        """All published versions, the newest first."""
        return cast(
            "models.VersionAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/workflows/{workflow}/versions", workflow=workflow),
                query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q},
            ),
        )

    async def get_workflows_one_versions_one(self, workflow: str, version: str) -> models.VersionWithSourceAnswer:
        """A version with its document, byte for byte as it was published."""
        return cast(
            "models.VersionWithSourceAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/workflows/{workflow}/versions/{version}", workflow=workflow, version=version)
            ),
        )

    async def post_workflows_one_versions_one_publish(self, workflow: str, version: str) -> models.PublishedAnswer:
        """Make an earlier version the published one again, without a new number. A draft stays as it is."""
        return cast(
            "models.PublishedAnswer",
            await self._transport.ask(
                "POST", make_path("/api/v1/workflows/{workflow}/versions/{version}/publish", workflow=workflow, version=version)
            ),
        )

    async def get_workflows_one_diff(
        self, workflow: str, *, from_: str | None = None, to: str | None = None
    ) -> models.DifferenceAnswer:
        """What differs between two documents of a workflow: as text, and by meaning. Without both: the published version and the draft."""
        return cast(
            "models.DifferenceAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/workflows/{workflow}/diff", workflow=workflow), query={"from": from_, "to": to}
            ),
        )

    async def get_workflows_one_docs(self, workflow: str, *, version: str | None = None) -> str:
        """The workflow's documentation in Markdown, with a Mermaid diagram."""
        return await self._transport.ask_text(
            "GET", make_path("/api/v1/workflows/{workflow}/docs", workflow=workflow), query={"version": version}
        )

    async def get_workflows_one_graph(self, workflow: str, *, version: str | None = None) -> models.GraphAnswer:
        """Its steps as nodes and edges, for a canvas."""
        return cast(
            "models.GraphAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/workflows/{workflow}/graph", workflow=workflow), query={"version": version}
            ),
        )

    async def get_workflows_one_start_form(self, workflow: str, *, version: str | None = None) -> models.StartFormAnswer:
        """What a form needs that starts it: the schema of the input, and its defaults."""
        return cast(
            "models.StartFormAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/workflows/{workflow}/start-form", workflow=workflow), query={"version": version}
            ),
        )

    async def post_projects(self, body: models.CreateProjectBody) -> models.ProjectAnswer:
        """Make a project."""
        return cast("models.ProjectAnswer", await self._transport.ask("POST", "/api/v1/projects", json=body))

    async def get_projects(
        self,
        *,
        include_deleted: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.ProjectAnswerPage:
        """The projects that the caller sees, by name."""
        return cast(
            "models.ProjectAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/projects",
                query={
                    "include_deleted": include_deleted,
                    "limit": limit,
                    "cursor": cursor,
                    "where": where,
                    "sort": sort,
                    "q": q,
                },
            ),
        )

    async def get_projects_one(self, project: str, *, include_deleted: bool | None = None) -> models.ProjectAnswer:
        """One project, by id or name."""
        return cast(
            "models.ProjectAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/projects/{project}", project=project), query={"include_deleted": include_deleted}
            ),
        )

    async def patch_projects_one(self, project: str, body: models.ChangeProjectBody) -> models.ProjectAnswer:
        """Change how a project is called."""
        return cast(
            "models.ProjectAnswer",
            await self._transport.ask("PATCH", make_path("/api/v1/projects/{project}", project=project), json=body),
        )

    async def delete_projects_one(self, project: str, *, permanent: bool | None = None) -> None:
        """Delete an empty project; it can be restored, unless it is `permanent`."""
        await self._transport.send(
            "DELETE", make_path("/api/v1/projects/{project}", project=project), query={"permanent": permanent}
        )

    async def post_projects_one_restore(self, project: str) -> models.ProjectAnswer:
        """Bring back a deleted project."""
        return cast(
            "models.ProjectAnswer",
            await self._transport.ask("POST", make_path("/api/v1/projects/{project}/restore", project=project)),
        )

    async def post_workflow_sets(self, body: models.CreateSetBody) -> models.SetAnswer:
        """Make a set of workflows."""
        return cast("models.SetAnswer", await self._transport.ask("POST", "/api/v1/workflow-sets", json=body))

    async def get_workflow_sets(
        self,
        *,
        include_deleted: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.SetAnswerPage:
        """The sets that the caller sees, by name."""
        return cast(
            "models.SetAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/workflow-sets",
                query={
                    "include_deleted": include_deleted,
                    "limit": limit,
                    "cursor": cursor,
                    "where": where,
                    "sort": sort,
                    "q": q,
                },
            ),
        )

    async def get_workflow_sets_one(self, workflow_set: str, *, include_deleted: bool | None = None) -> models.SetAnswer:
        """One set, by id or name."""
        return cast(
            "models.SetAnswer",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/workflow-sets/{workflow_set}", workflow_set=workflow_set),
                query={"include_deleted": include_deleted},
            ),
        )

    async def patch_workflow_sets_one(self, workflow_set: str, body: models.ChangeSetBody) -> models.SetAnswer:
        """Change a set: how it is called, which workflows it has, in which order, in which project."""
        return cast(
            "models.SetAnswer",
            await self._transport.ask(
                "PATCH", make_path("/api/v1/workflow-sets/{workflow_set}", workflow_set=workflow_set), json=body
            ),
        )

    async def delete_workflow_sets_one(self, workflow_set: str, *, permanent: bool | None = None) -> None:
        """Delete a set; its workflows stay. It can be restored, unless it is `permanent`."""
        await self._transport.send(
            "DELETE", make_path("/api/v1/workflow-sets/{workflow_set}", workflow_set=workflow_set), query={"permanent": permanent}
        )

    async def post_workflow_sets_one_restore(self, workflow_set: str) -> models.SetAnswer:
        """Bring back a deleted set."""
        return cast(
            "models.SetAnswer",
            await self._transport.ask(
                "POST", make_path("/api/v1/workflow-sets/{workflow_set}/restore", workflow_set=workflow_set)
            ),
        )

    async def post_templates(self, body: models.CreateTemplateBody) -> models.TemplateAnswer:
        """Keep a template."""
        return cast("models.TemplateAnswer", await self._transport.ask("POST", "/api/v1/templates", json=body))

    async def get_templates(
        self,
        *,
        kind: Literal["workflow", "step", "mail"] | None = None,
        include_deleted: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.TemplateAnswerPage:
        """The templates, by name."""
        return cast(
            "models.TemplateAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/templates",
                query={
                    "kind": kind,
                    "include_deleted": include_deleted,
                    "limit": limit,
                    "cursor": cursor,
                    "where": where,
                    "sort": sort,
                    "q": q,
                },
            ),
        )

    async def get_templates_one(
        self, template: str, *, kind: Literal["workflow", "step", "mail"] | None = None, include_deleted: bool | None = None
    ) -> models.TemplateAnswer:
        """One template, by id or name."""
        return cast(
            "models.TemplateAnswer",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/templates/{template}", template=template),
                query={"kind": kind, "include_deleted": include_deleted},
            ),
        )

    async def patch_templates_one(
        self, template: str, body: models.ChangeTemplateBody, *, kind: Literal["workflow", "step", "mail"] | None = None
    ) -> models.TemplateAnswer:
        """Change a template. What was made of it stays as it is."""
        return cast(
            "models.TemplateAnswer",
            await self._transport.ask(
                "PATCH", make_path("/api/v1/templates/{template}", template=template), query={"kind": kind}, json=body
            ),
        )

    async def delete_templates_one(
        self, template: str, *, kind: Literal["workflow", "step", "mail"] | None = None, permanent: bool | None = None
    ) -> None:
        """Delete a template; it can be restored, unless it is `permanent`."""
        await self._transport.send(
            "DELETE", make_path("/api/v1/templates/{template}", template=template), query={"kind": kind, "permanent": permanent}
        )

    async def post_templates_one_restore(
        self, template: str, *, kind: Literal["workflow", "step", "mail"] | None = None
    ) -> models.TemplateAnswer:
        """Bring back a deleted template."""
        return cast(
            "models.TemplateAnswer",
            await self._transport.ask(
                "POST", make_path("/api/v1/templates/{template}/restore", template=template), query={"kind": kind}
            ),
        )

    async def post_templates_one_preview(
        self,
        template: str,
        body: models.TemplatePreviewBody | None = None,
        *,
        kind: Literal["workflow", "step", "mail"] | None = None,
    ) -> models.FilledAnswer:
        """What would come of the template, with its own sample or with `data`; what is missing in them is empty. Nothing is stored."""
        return cast(
            "models.FilledAnswer",
            await self._transport.ask(
                "POST", make_path("/api/v1/templates/{template}/preview", template=template), query={"kind": kind}, json=body
            ),
        )

    async def post_templates_one_use(
        self, template: str, body: models.UseBody | None = None, *, kind: Literal["workflow", "step", "mail"] | None = None
    ) -> models.FilledAnswer:
        """Fill a template: the workflow under its new name, the step with its parameters, the mail with its data. Nothing is stored.

        A workflow comes as the `yaml` that POST /workflows takes.
        """
        return cast(
            "models.FilledAnswer",
            await self._transport.ask(
                "POST", make_path("/api/v1/templates/{template}/use", template=template), query={"kind": kind}, json=body
            ),
        )

    async def post_export(self, body: models.ExportBody | None = None) -> models.Configuration:
        """The configuration of the workspace: projects, workflows with their versions and drafts, sets, templates, names of variables.

        Values of variables and secrets are not in it.
        """
        return cast("models.Configuration", await self._transport.ask("POST", "/api/v1/export", json=body))

    async def post_import(
        self,
        body: models.Configuration,
        *,
        dry_run: bool | None = None,
        skip_conflicts: bool | None = None,
        wait: str | None = None,
    ) -> models.Imported | models.BatchAnswer:
        """Bring in what was exported: in one transaction, all of it or nothing.

        Tells for each item whether it is made, changed, the same already, or contradicts what is here; with `dry_run` it is only told.
        """
        return cast(
            "models.Imported | models.BatchAnswer",
            await self._transport.ask(
                "POST", "/api/v1/import", query={"dry_run": dry_run, "skip_conflicts": skip_conflicts, "wait": wait}, json=body
            ),
        )

    async def post_triggers_test(self, body: models.TriggerTest) -> models.TestAnswer:
        """Whether they are valid, and whether what the trigger listens to can be reached. Nothing is stored or started."""
        return cast("models.TestAnswer", await self._transport.ask("POST", "/api/v1/triggers/test", json=body))

    async def post_triggers_one_test(self, trigger_id: str) -> models.TestAnswer:
        """As `POST /triggers/test`, for a trigger that is there."""
        return cast(
            "models.TestAnswer",
            await self._transport.ask("POST", make_path("/api/v1/triggers/{trigger_id}/test", trigger_id=trigger_id)),
        )

    async def post_triggers_one_pause(self, trigger_id: str, body: models.PauseBody | None = None) -> models.TriggerAnswer:
        """What comes meanwhile is held (`keep`), or refused as if the trigger were not there (`refuse`)."""
        return cast(
            "models.TriggerAnswer",
            await self._transport.ask("POST", make_path("/api/v1/triggers/{trigger_id}/pause", trigger_id=trigger_id), json=body),
        )

    async def post_triggers_one_resume(self, trigger_id: str) -> models.TriggerAnswer:
        """Events that are held stay so until they are run or thrown away."""
        return cast(
            "models.TriggerAnswer",
            await self._transport.ask("POST", make_path("/api/v1/triggers/{trigger_id}/resume", trigger_id=trigger_id)),
        )

    async def post_triggers_one_fire(
        self, trigger_id: str, body: models.FireBody | None = None, *, idempotency_key: str | None = None
    ) -> models.FiredAnswer:
        """As if it had fired by itself, also while it is paused."""
        return cast(
            "models.FiredAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/triggers/{trigger_id}/fire", trigger_id=trigger_id),
                headers={"Idempotency-Key": idempotency_key},
                json=body,
            ),
        )

    async def get_triggers_one_stats(self, trigger_id: str) -> models.FiguresAnswer:
        """How often a trigger was called"""
        return cast(
            "models.FiguresAnswer",
            await self._transport.ask("GET", make_path("/api/v1/triggers/{trigger_id}/stats", trigger_id=trigger_id)),
        )

    async def get_triggers_one_requests(
        self,
        trigger_id: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
    ) -> models.RequestAnswerPage:
        """The newest first, 100 at most; those that were refused too."""
        return cast(
            "models.RequestAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/triggers/{trigger_id}/requests", trigger_id=trigger_id),
                query={"limit": limit, "cursor": cursor, "where": where, "sort": sort},
            ),
        )

    async def get_triggers_one_events(
        self, trigger_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> models.HeldAnswerPage:
        """The oldest first."""
        return cast(
            "models.HeldAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/triggers/{trigger_id}/events", trigger_id=trigger_id),
                query={"limit": limit, "cursor": cursor},
            ),
        )

    async def post_triggers_one_events_run(
        self, trigger_id: str, body: models.ChosenEvents, *, wait: str | None = None
    ) -> models.EventsRunAnswer | models.BatchAnswer:
        """Each becomes a run, the oldest first; those that cannot start stay held, and the answer says why."""
        return cast(
            "models.EventsRunAnswer | models.BatchAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/triggers/{trigger_id}/events/run", trigger_id=trigger_id),
                query={"wait": wait},
                json=body,
            ),
        )

    async def post_triggers_one_events_discard(self, trigger_id: str, body: models.ChosenEvents) -> models.EventsDiscardedAnswer:
        """Throw held events away"""
        return cast(
            "models.EventsDiscardedAnswer",
            await self._transport.ask(
                "POST", make_path("/api/v1/triggers/{trigger_id}/events/discard", trigger_id=trigger_id), json=body
            ),
        )

    async def get_triggers_types(
        self, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None, sort: str | None = None
    ) -> models.KindAnswerPage:
        """The kinds of triggers"""
        return cast(
            "models.KindAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/triggers/types", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort}
            ),
        )

    async def get_triggers_types_one(self, name: str) -> models.KindAnswer:
        """A kind of trigger"""
        return cast("models.KindAnswer", await self._transport.ask("GET", make_path("/api/v1/triggers/types/{name}", name=name)))

    async def get_triggers(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.TriggerAnswerPage:
        """In the order in which they were made."""
        return cast(
            "models.TriggerAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/triggers", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def post_triggers(self, body: models.NewTrigger) -> models.TriggerAnswer:
        """The workflow's document stays as it is. The trigger is live while the workflow has a published version."""
        return cast("models.TriggerAnswer", await self._transport.ask("POST", "/api/v1/triggers", json=body))

    async def get_triggers_one(self, trigger_id: str) -> models.TriggerAnswer:
        """A trigger"""
        return cast(
            "models.TriggerAnswer",
            await self._transport.ask("GET", make_path("/api/v1/triggers/{trigger_id}", trigger_id=trigger_id)),
        )

    async def patch_triggers_one(self, trigger_id: str, body: models.TriggerPatch) -> models.TriggerAnswer:
        """A document's own triggers are changed in the document, and by publishing it."""
        return cast(
            "models.TriggerAnswer",
            await self._transport.ask("PATCH", make_path("/api/v1/triggers/{trigger_id}", trigger_id=trigger_id), json=body),
        )

    async def delete_triggers_one(self, trigger_id: str) -> None:
        """With the events that it holds. A document's own triggers go with the document."""
        await self._transport.send("DELETE", make_path("/api/v1/triggers/{trigger_id}", trigger_id=trigger_id))

    async def get_schedules(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.ScheduleAnswerPage:
        """In the order in which they were made."""
        return cast(
            "models.ScheduleAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/schedules", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def post_schedules_preview(self, body: models.ScheduleSchemaPreviewBody) -> models.PreviewAnswer:
        """In words, and its next slots, from now on. Nothing is stored."""
        return cast("models.PreviewAnswer", await self._transport.ask("POST", "/api/v1/schedules/preview", json=body))

    async def get_schedules_one_next(self, schedule_id: str, *, limit: int | None = None) -> models.NextAnswer:
        """The next slots"""
        return cast(
            "models.NextAnswer",
            await self._transport.ask(
                "GET", make_path("/api/v1/schedules/{schedule_id}/next", schedule_id=schedule_id), query={"limit": limit}
            ),
        )

    async def post_schedules_one_backfill(
        self, schedule_id: str, body: models.BackfillBody, *, wait: str | None = None
    ) -> models.BackfillAnswer | models.BatchAnswer:
        """At most 1,000 slots. A slot whose run is there already is not run again, so that the request may be repeated."""
        return cast(
            "models.BackfillAnswer | models.BatchAnswer",
            await self._transport.ask(
                "POST",
                make_path("/api/v1/schedules/{schedule_id}/backfill", schedule_id=schedule_id),
                query={"wait": wait},
                json=body,
            ),
        )

    async def get_calendars(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.CalendarAnswerPage:
        """By name."""
        return cast(
            "models.CalendarAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/calendars", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def post_calendars(self, body: models.NewCalendar) -> models.CalendarAnswer:
        """Schedules name it in `calendar`: they fire on the days that count."""
        return cast("models.CalendarAnswer", await self._transport.ask("POST", "/api/v1/calendars", json=body))

    async def get_calendars_one(self, calendar: str) -> models.CalendarAnswer:
        """A calendar"""
        return cast(
            "models.CalendarAnswer",
            await self._transport.ask("GET", make_path("/api/v1/calendars/{calendar}", calendar=calendar)),
        )

    async def patch_calendars_one(self, calendar: str, body: models.CalendarPatch) -> models.CalendarAnswer:
        """The next slots of the schedules that use it are computed anew."""
        return cast(
            "models.CalendarAnswer",
            await self._transport.ask("PATCH", make_path("/api/v1/calendars/{calendar}", calendar=calendar), json=body),
        )

    async def delete_calendars_one(self, calendar: str) -> None:
        """Only one that no live schedule uses."""
        await self._transport.send("DELETE", make_path("/api/v1/calendars/{calendar}", calendar=calendar))

    async def post_hooks_workspace_one(self, workspace: str, path: str) -> JsonValue:
        """As `POST /hooks/{path}`."""
        return await self._transport.ask("POST", make_path("/hooks/@{workspace}/{path}", workspace=workspace, path=path))

    async def post_hooks_one(self, path: str) -> JsonValue:
        """Starts a run of the workflow that has a webhook of this path. How the sender proves itself says the trigger.

        A path that is unknown, off, refusing, or closed to the sender's address is one and the same 404.
        """
        return await self._transport.ask("POST", make_path("/hooks/{path}", path=path))

    async def get_groups(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.GroupGroupAnswerPage:
        """By name."""
        return cast(
            "models.GroupGroupAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/groups", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def post_groups(self, body: models.NewGroup) -> models.GroupGroupAnswer:
        """Make a group"""
        return cast("models.GroupGroupAnswer", await self._transport.ask("POST", "/api/v1/groups", json=body))

    async def get_groups_one(self, group: str) -> models.GroupGroupAnswer:
        """By id or name."""
        return cast("models.GroupGroupAnswer", await self._transport.ask("GET", make_path("/api/v1/groups/{group}", group=group)))

    async def patch_groups_one(self, group: str, body: models.ChangedGroup) -> models.GroupGroupAnswer:
        """Change a group"""
        return cast(
            "models.GroupGroupAnswer",
            await self._transport.ask("PATCH", make_path("/api/v1/groups/{group}", group=group), json=body),
        )

    async def delete_groups_one(self, group: str) -> None:
        """Its members lose what the group was given."""
        await self._transport.send("DELETE", make_path("/api/v1/groups/{group}", group=group))

    async def get_groups_one_members(
        self, group: str, *, limit: int | None = None, cursor: str | None = None
    ) -> models.MemberAnswerPage:
        """List the people of a group"""
        return cast(
            "models.MemberAnswerPage",
            await self._transport.ask(
                "GET", make_path("/api/v1/groups/{group}/members", group=group), query={"limit": limit, "cursor": cursor}
            ),
        )

    async def put_groups_one_members_one(self, group: str, user: str) -> None:
        """The person has what the group was given from the next request on. Nothing happens to who is in it already."""
        await self._transport.send("PUT", make_path("/api/v1/groups/{group}/members/{user}", group=group, user=user))

    async def delete_groups_one_members_one(self, group: str, user: str) -> None:
        """Nothing happens to who is not in it."""
        await self._transport.send("DELETE", make_path("/api/v1/groups/{group}/members/{user}", group=group, user=user))

    async def get_roles(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.RoleAnswerPage:
        """The built-in roles first, the least of them at first; then the others by name."""
        return cast(
            "models.RoleAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/roles", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def post_roles(self, body: models.NewRole) -> models.RoleAnswer:
        """A bundle of permissions; nobody can make one that holds more than he may do himself."""
        return cast("models.RoleAnswer", await self._transport.ask("POST", "/api/v1/roles", json=body))

    async def get_roles_one(self, role: str) -> models.RoleAnswer:
        """By id or name; `ETag` names its present state."""
        return cast("models.RoleAnswer", await self._transport.ask("GET", make_path("/api/v1/roles/{role}", role=role)))

    async def patch_roles_one(self, role: str, body: models.ChangedRole, *, if_match: str | None = None) -> models.RoleAnswer:
        """Whoever has the role has what it holds from now on."""
        return cast(
            "models.RoleAnswer",
            await self._transport.ask(
                "PATCH", make_path("/api/v1/roles/{role}", role=role), headers={"If-Match": if_match}, json=body
            ),
        )

    async def delete_roles_one(self, role: str, *, if_match: str | None = None) -> None:
        """Only when nobody has it any more."""
        await self._transport.send("DELETE", make_path("/api/v1/roles/{role}", role=role), headers={"If-Match": if_match})

    async def get_role_assignments(
        self,
        *,
        principal: str | None = None,
        role: str | None = None,
        scope: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
    ) -> models.AssignmentAnswerPage:
        """The oldest first."""
        return cast(
            "models.AssignmentAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/role-assignments",
                query={
                    "principal": principal,
                    "role": role,
                    "scope": scope,
                    "limit": limit,
                    "cursor": cursor,
                    "where": where,
                    "sort": sort,
                },
            ),
        )

    async def post_role_assignments(self, body: models.NewAssignment) -> models.AssignmentAnswer:
        """It holds from the next request on. Nobody can give what he may not do himself."""
        return cast("models.AssignmentAnswer", await self._transport.ask("POST", "/api/v1/role-assignments", json=body))

    async def get_role_assignments_one(self, assignment: str) -> models.AssignmentAnswer:
        """One role assignment"""
        return cast(
            "models.AssignmentAnswer",
            await self._transport.ask("GET", make_path("/api/v1/role-assignments/{assignment}", assignment=assignment)),
        )

    async def delete_role_assignments_one(self, assignment: str) -> None:
        """It holds from the next request on. The last owner stays one."""
        await self._transport.send("DELETE", make_path("/api/v1/role-assignments/{assignment}", assignment=assignment))

    async def get_users_one_overrides(self, user: str) -> models.OverridesAnswer:
        """What the person may, or may not, whatever the roles say."""
        return cast(
            "models.OverridesAnswer", await self._transport.ask("GET", make_path("/api/v1/users/{user}/overrides", user=user))
        )

    async def put_users_one_overrides(self, user: str, body: models.OverridesBody) -> models.OverridesAnswer:
        """They hold everywhere, from the next request on. What is denied is denied, whatever else allows it."""
        return cast(
            "models.OverridesAnswer",
            await self._transport.ask("PUT", make_path("/api/v1/users/{user}/overrides", user=user), json=body),
        )

    async def get_access_explain(self, *, user: str, permission: str, object: str | None = None) -> models.AccessAnswer:
        """Everything that speaks for and against it: roles, groups, scopes, overrides. What is denied personally is denied."""
        return cast(
            "models.AccessAnswer",
            await self._transport.ask(
                "GET", "/api/v1/access/explain", query={"user": user, "permission": permission, "object": object}
            ),
        )

    async def get_access_who_can(
        self, *, permission: str, object: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> models.WhoCanAnswer:
        """`allowed`: whether anybody may. `because`: what lets them, person by person, of at most `limit` people."""
        return cast(
            "models.WhoCanAnswer",
            await self._transport.ask(
                "GET",
                "/api/v1/access/who-can",
                query={"permission": permission, "object": object, "limit": limit, "cursor": cursor},
            ),
        )

    async def get_me_permissions(self) -> models.OwnPermissions:
        """In the present workspace, with the credential of this request: a key may do less than its person."""
        return cast("models.OwnPermissions", await self._transport.ask("GET", "/api/v1/me/permissions"))

    async def get_workspaces(
        self,
        *,
        include_deleted: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.WorkspaceAnswerPage:
        """By name. Those that were deleted are shown to who may restore them."""
        return cast(
            "models.WorkspaceAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/workspaces",
                query={
                    "include_deleted": include_deleted,
                    "limit": limit,
                    "cursor": cursor,
                    "where": where,
                    "sort": sort,
                    "q": q,
                },
            ),
        )

    async def post_workspaces(self, body: models.NewWorkspace) -> models.WorkspaceAnswer:
        """What is in one workspace cannot be seen from another: an organisation, a department, a team."""
        return cast("models.WorkspaceAnswer", await self._transport.ask("POST", "/api/v1/workspaces", json=body))

    async def get_workspaces_one(self, workspace: str) -> models.WorkspaceAnswer:
        """By id or name."""
        return cast(
            "models.WorkspaceAnswer",
            await self._transport.ask("GET", make_path("/api/v1/workspaces/{workspace}", workspace=workspace)),
        )

    async def patch_workspaces_one(self, workspace: str, body: models.ChangedWorkspace) -> models.WorkspaceAnswer:
        """Change a workspace"""
        return cast(
            "models.WorkspaceAnswer",
            await self._transport.ask("PATCH", make_path("/api/v1/workspaces/{workspace}", workspace=workspace), json=body),
        )

    async def delete_workspaces_one(self, workspace: str, *, permanent: bool | None = None) -> None:
        """Nobody finds it any more, until it is restored. The default workspace stays."""
        await self._transport.send(
            "DELETE", make_path("/api/v1/workspaces/{workspace}", workspace=workspace), query={"permanent": permanent}
        )

    async def post_workspaces_one_restore(self, workspace: str) -> models.WorkspaceAnswer:
        """With everything that was in it."""
        return cast(
            "models.WorkspaceAnswer",
            await self._transport.ask("POST", make_path("/api/v1/workspaces/{workspace}/restore", workspace=workspace)),
        )

    async def get_auth_oidc_one_login(self, provider: str, *, next: str | None = None) -> None:
        """Sends the browser to the provider's page."""
        await self._transport.send(
            "GET", make_path("/api/v1/auth/oidc/{provider}/login", provider=provider), query={"next": next}
        )

    async def get_auth_oidc_one_callback(
        self,
        provider: str,
        *,
        state: str | None = None,
        code: str | None = None,
        iss: str | None = None,
        error: str | None = None,
    ) -> None:
        """The provider sends the browser here; a session begins, and the browser goes where it wanted to."""
        await self._transport.send(
            "GET",
            make_path("/api/v1/auth/oidc/{provider}/callback", provider=provider),
            query={"state": state, "code": code, "iss": iss, "error": error},
        )

    async def get_auth_config(self) -> models.ConfigAnswer:
        """What a sign-in page needs to know."""
        return cast("models.ConfigAnswer", await self._transport.ask("GET", "/api/v1/auth/config"))

    async def post_auth_login(self, body: models.LoginBody) -> models.SignedInAnswer:
        """Begins a session, whose two cookies come with the answer. 401 says the same whatever was wrong; `code_required`: send `code`, too."""
        return cast("models.SignedInAnswer", await self._transport.ask("POST", "/api/v1/auth/login", json=body))

    async def post_auth_link(self, body: models.LinkBody) -> models.SignedInAnswer:
        """Used, expired and unknown links get one and the same answer."""
        return cast("models.SignedInAnswer", await self._transport.ask("POST", "/api/v1/auth/link", json=body))

    async def post_auth_logout(self) -> None:
        """Ends the session (or the sign-in that the access token is of), and takes the cookies away."""
        await self._transport.send("POST", "/api/v1/auth/logout")

    async def get_auth_session(self) -> models.SignedInAnswer:
        """The person of this session, and when it ends at the latest."""
        return cast("models.SignedInAnswer", await self._transport.ask("GET", "/api/v1/auth/session"))

    async def post_auth_session_extend(self) -> models.SignedInAnswer:
        """Another session takes the place of this one, with new cookies, and lasts from now on."""
        return cast("models.SignedInAnswer", await self._transport.ask("POST", "/api/v1/auth/session/extend"))

    async def post_auth_register(self, body: models.RegisterBody) -> models.AcceptedAnswer:
        """Only where REGISTRATION is on. The account is good once the link in the mail was opened, and has no role."""
        return cast("models.AcceptedAnswer", await self._transport.ask("POST", "/api/v1/auth/register", json=body))

    async def post_auth_password_reset(self, body: models.ResetBody) -> models.AcceptedAnswer:
        """The link is good for 30 minutes, once."""
        return cast("models.AcceptedAnswer", await self._transport.ask("POST", "/api/v1/auth/password-reset", json=body))

    async def post_auth_password_reset_confirm(self, body: models.ConfirmBody) -> None:
        """All sessions of the account end; sign in with the new password."""
        await self._transport.send("POST", "/api/v1/auth/password-reset/confirm", json=body)

    async def post_auth_token(self, body: models.LoginBody) -> models.TokenAnswer:
        """An access token for 15 minutes, and a refresh token for 30 days."""
        return cast("models.TokenAnswer", await self._transport.ask("POST", "/api/v1/auth/token", json=body))

    async def post_auth_refresh(self, body: models.RefreshBody) -> models.TokenAnswer:
        """Each refresh token is good once. One that comes again ends the whole sign-in: somebody else has it, too."""
        return cast("models.TokenAnswer", await self._transport.ask("POST", "/api/v1/auth/refresh", json=body))

    async def post_auth_revoke(self, body: models.RefreshBody) -> None:
        """Ends the sign-in of this refresh token: access tokens of it are refused from the next request on. 204 also for an unknown one."""
        await self._transport.send("POST", "/api/v1/auth/revoke", json=body)

    async def get_well_known_jwks_json(self) -> models.KeySetAnswer:
        """Public keys, for whoever wants to check our access tokens and audit checkpoints."""
        return cast("models.KeySetAnswer", await self._transport.ask("GET", "/.well-known/jwks.json"))

    async def get_me(self) -> models.UserAnswer:
        """The person of this session, token or key."""
        return cast("models.UserAnswer", await self._transport.ask("GET", "/api/v1/me"))

    async def patch_me(self, body: models.ChangeBody) -> models.UserAnswer:
        """Your name, your default workspace, your attributes."""
        return cast("models.UserAnswer", await self._transport.ask("PATCH", "/api/v1/me", json=body))

    async def get_me_sessions(
        self, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None
    ) -> models.SessionAnswerPage:
        """Browsers and programs, the latest first."""
        return cast(
            "models.SessionAnswerPage",
            await self._transport.ask("GET", "/api/v1/me/sessions", query={"limit": limit, "cursor": cursor, "where": where}),
        )

    async def delete_me_sessions(self) -> None:
        """This one, too. Access and refresh tokens and links that were made before are refused from the next request on."""
        await self._transport.send("DELETE", "/api/v1/me/sessions")

    async def delete_me_sessions_one(self, session: str) -> None:
        """It is refused from the next request on."""
        await self._transport.send("DELETE", make_path("/api/v1/me/sessions/{session}", session=session))

    async def put_me_password(self, body: models.PasswordBody) -> None:
        """Your other sessions end; this one stays."""
        await self._transport.send("PUT", "/api/v1/me/password", json=body)

    async def post_me_totp(self, body: models.TotpBody) -> models.TotpAnswer:
        """First without `code`, for a secret to put into an authenticator; then with a code that it shows."""
        return cast("models.TotpAnswer", await self._transport.ask("POST", "/api/v1/me/totp", json=body))

    async def delete_me_totp(self, body: models.ProofBody) -> None:
        """Your password proves that it is you."""
        await self._transport.send("DELETE", "/api/v1/me/totp", json=body)

    async def get_keys(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.KeyAnswerPage:
        """Yours; with key:read all of the workspace. Revoked and expired ones, too."""
        return cast(
            "models.KeyAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/keys", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def post_keys(self, body: models.NewKeyBody) -> models.NewKeyAnswer:
        """It may do what its list says and what you may do, whichever is less, in the present workspace."""
        return cast("models.NewKeyAnswer", await self._transport.ask("POST", "/api/v1/keys", json=body))

    async def get_keys_one(self, key: str) -> models.KeyAnswer:
        """By its id or its first 12 characters."""
        return cast("models.KeyAnswer", await self._transport.ask("GET", make_path("/api/v1/keys/{key}", key=key)))

    async def patch_keys_one(self, key: str, body: models.ChangeKeyBody) -> models.KeyAnswer:
        """Nothing else of a key changes: for other permissions make another."""
        return cast("models.KeyAnswer", await self._transport.ask("PATCH", make_path("/api/v1/keys/{key}", key=key), json=body))

    async def delete_keys_one(self, key: str) -> None:
        """For ever; it is refused within 5 seconds."""
        await self._transport.send("DELETE", make_path("/api/v1/keys/{key}", key=key))

    async def get_keys_one_usage(
        self,
        key: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
    ) -> models.UsageAnswerPage:
        """By hour and address, the latest first, of the last 90 days."""
        return cast(
            "models.UsageAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/keys/{key}/usage", key=key),
                query={"limit": limit, "cursor": cursor, "where": where, "sort": sort},
            ),
        )

    async def get_users(
        self,
        *,
        include_deleted: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.UserAnswerPage:
        """In the order in which they were made."""
        return cast(
            "models.UserAnswerPage",
            await self._transport.ask(
                "GET",
                "/api/v1/users",
                query={
                    "include_deleted": include_deleted,
                    "limit": limit,
                    "cursor": cursor,
                    "where": where,
                    "sort": sort,
                    "q": q,
                },
            ),
        )

    async def post_users(self, body: models.NewUserBody) -> models.UserAnswer:
        """Without a password: a link (password-link), or the first sign-in by a provider that knows the email, lets the person in."""
        return cast("models.UserAnswer", await self._transport.ask("POST", "/api/v1/users", json=body))

    async def get_users_one(self, user: str) -> models.UserAnswer:
        """Deleted ones, too."""
        return cast("models.UserAnswer", await self._transport.ask("GET", make_path("/api/v1/users/{user}", user=user)))

    async def patch_users_one(self, user: str, body: models.ChangeUserBody) -> models.UserAnswer:
        """Roles are given by role assignments, and never here."""
        return cast(
            "models.UserAnswer", await self._transport.ask("PATCH", make_path("/api/v1/users/{user}", user=user), json=body)
        )

    async def delete_users_one(self, user: str, *, permanent: bool | None = None) -> None:
        """The person cannot sign in any more, and keeps nothing open; can be restored, unless `permanent`."""
        await self._transport.send("DELETE", make_path("/api/v1/users/{user}", user=user), query={"permanent": permanent})

    async def post_users_one_restore(self, user: str) -> models.UserAnswer:
        """With the roles that the person had."""
        return cast("models.UserAnswer", await self._transport.ask("POST", make_path("/api/v1/users/{user}/restore", user=user)))

    async def post_users_one_disable(self, user: str) -> models.UserAnswer:
        """All sessions and tokens end; keys are refused, too."""
        return cast("models.UserAnswer", await self._transport.ask("POST", make_path("/api/v1/users/{user}/disable", user=user)))

    async def post_users_one_enable(self, user: str) -> models.UserAnswer:
        """The person signs in anew."""
        return cast("models.UserAnswer", await self._transport.ask("POST", make_path("/api/v1/users/{user}/enable", user=user)))

    async def post_users_one_password_link(self, user: str) -> models.LinkAnswer:
        """Good once, for 30 minutes. By session only: whoever has the link can become that person."""
        return cast(
            "models.LinkAnswer", await self._transport.ask("POST", make_path("/api/v1/users/{user}/password-link", user=user))
        )

    async def post_users_one_erase(self, user: str) -> None:
        """For ever: email, name, attributes, identities, keys, sessions, and what the audit log holds of the person. The id stays."""
        await self._transport.send("POST", make_path("/api/v1/users/{user}/erase", user=user))

    async def get_users_one_sessions(
        self, user: str, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None
    ) -> models.SessionAnswerPage:
        """Browsers and programs, the latest first."""
        return cast(
            "models.SessionAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/users/{user}/sessions", user=user),
                query={"limit": limit, "cursor": cursor, "where": where},
            ),
        )

    async def delete_users_one_sessions(self, user: str) -> None:
        """Sessions and tokens are refused from the next request on."""
        await self._transport.send("DELETE", make_path("/api/v1/users/{user}/sessions", user=user))

    async def delete_users_one_sessions_one(self, user: str, session: str) -> None:
        """It is refused from the next request on."""
        await self._transport.send("DELETE", make_path("/api/v1/users/{user}/sessions/{session}", user=user, session=session))

    async def get_users_one_identities(
        self, user: str, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None
    ) -> models.IdentityAnswerPage:
        """By connector."""
        return cast(
            "models.IdentityAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/users/{user}/identities", user=user),
                query={"limit": limit, "cursor": cursor, "where": where},
            ),
        )

    async def get_secrets(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.SecretAnswerPage:
        """By name."""
        return cast(
            "models.SecretAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/secrets", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def put_secrets_one(self, name: str, body: models.SecretBody) -> models.SecretAnswer:
        """Set a secret"""
        return cast(
            "models.SecretAnswer", await self._transport.ask("PUT", make_path("/api/v1/secrets/{name}", name=name), json=body)
        )

    async def delete_secrets_one(self, name: str) -> None:
        """Remove a secret for good"""
        await self._transport.send("DELETE", make_path("/api/v1/secrets/{name}", name=name))

    async def get_secrets_one_usage(
        self, name: str, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None
    ) -> models.UseAnswerPage:
        """Which workflows use a secret"""
        return cast(
            "models.UseAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/secrets/{name}/usage", name=name),
                query={"limit": limit, "cursor": cursor, "where": where},
            ),
        )

    async def get_variables(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.VariableAnswerPage:
        """By name."""
        return cast(
            "models.VariableAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/variables", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def put_variables_one(self, name: str, body: models.VariableBody) -> models.VariableAnswer:
        """Set a variable"""
        return cast(
            "models.VariableAnswer", await self._transport.ask("PUT", make_path("/api/v1/variables/{name}", name=name), json=body)
        )

    async def delete_variables_one(self, name: str) -> None:
        """Remove a variable"""
        await self._transport.send("DELETE", make_path("/api/v1/variables/{name}", name=name))

    async def get_variables_one_usage(
        self, name: str, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None
    ) -> models.UseAnswerPage:
        """Which workflows use a variable"""
        return cast(
            "models.UseAnswerPage",
            await self._transport.ask(
                "GET",
                make_path("/api/v1/variables/{name}/usage", name=name),
                query={"limit": limit, "cursor": cursor, "where": where},
            ),
        )

    async def post_keyring_reencrypt(self) -> models.ReencryptionAnswer:
        """After ENCRYPTION_KEY was changed. It goes on with what is left when it is called again, and may run while others work.

        The keys of persons in the audit log, second factors and secrets of subscriptions get the current key too; the figures are those of
        the secrets.
        """
        return cast("models.ReencryptionAnswer", await self._transport.ask("POST", "/api/v1/keyring/reencrypt"))

    async def get_settings(self) -> models.RuntimeSettings:
        """The settings that are changed at run time"""
        return cast("models.RuntimeSettings", await self._transport.ask("GET", "/api/v1/settings"))

    async def patch_settings(self, body: models.SettingsChange, *, if_match: str | None = None) -> models.RuntimeSettings:
        """Change settings"""
        return cast(
            "models.RuntimeSettings",
            await self._transport.ask("PATCH", "/api/v1/settings", headers={"If-Match": if_match}, json=body),
        )

    async def get_settings_cors(self) -> models.CorsAnswer:
        """The origins that may call the API from a browser"""
        return cast("models.CorsAnswer", await self._transport.ask("GET", "/api/v1/settings/cors"))

    async def put_settings_cors(self, body: models.CorsBody, *, if_match: str | None = None) -> models.CorsAnswer:
        """Set the origins that may call the API from a browser"""
        return cast(
            "models.CorsAnswer",
            await self._transport.ask("PUT", "/api/v1/settings/cors", headers={"If-Match": if_match}, json=body),
        )

    async def get_feature_flags(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        where: list[str] | None = None,
        sort: str | None = None,
        q: str | None = None,
    ) -> models.FlagAnswerPage:
        """By name."""
        return cast(
            "models.FlagAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/feature-flags", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort, "q": q}
            ),
        )

    async def get_feature_flags_one(self, name: str) -> models.FlagAnswer:
        """A feature flag"""
        return cast("models.FlagAnswer", await self._transport.ask("GET", make_path("/api/v1/feature-flags/{name}", name=name)))

    async def put_feature_flags_one(self, name: str, body: models.FlagBody, *, if_match: str | None = None) -> models.FlagAnswer:
        """Make or change a feature flag"""
        return cast(
            "models.FlagAnswer",
            await self._transport.ask(
                "PUT", make_path("/api/v1/feature-flags/{name}", name=name), headers={"If-Match": if_match}, json=body
            ),
        )

    async def post_files(self, file: FormFile) -> models.FileAnswer:
        """Send a file"""
        return cast("models.FileAnswer", await self._transport.ask("POST", "/api/v1/files", file=file))

    async def get_files_links_one(self, token: str, *, range: str | None = None) -> bytes:
        """Whoever has the link can fetch the file until it expires."""
        return await self._transport.ask_bytes(
            "GET", make_path("/api/v1/files/links/{token}", token=token), headers={"range": range}
        )

    async def get_files_one(self, file_id: str) -> models.FileAnswer:
        """What is known of a file"""
        return cast("models.FileAnswer", await self._transport.ask("GET", make_path("/api/v1/files/{file_id}", file_id=file_id)))

    async def delete_files_one(self, file_id: str) -> None:
        """Delete a file that was sent"""
        await self._transport.send("DELETE", make_path("/api/v1/files/{file_id}", file_id=file_id))

    async def get_files_one_content(self, file_id: str, *, range: str | None = None) -> bytes:
        """The bytes of a file"""
        return await self._transport.ask_bytes(
            "GET", make_path("/api/v1/files/{file_id}/content", file_id=file_id), headers={"range": range}
        )

    async def post_files_one_link(self, file_id: str, body: models.FileLinkBody) -> models.FileLinkAnswer:
        """Lend a file by a link"""
        return cast(
            "models.FileLinkAnswer",
            await self._transport.ask("POST", make_path("/api/v1/files/{file_id}/link", file_id=file_id), json=body),
        )

    async def post_uploads(self, body: models.UploadBody) -> models.UploadAnswer:
        """Announce a file that comes in pieces"""
        return cast("models.UploadAnswer", await self._transport.ask("POST", "/api/v1/uploads", json=body))

    async def get_uploads_one(self, upload_id: str) -> models.UploadAnswer:
        """How much has arrived"""
        return cast(
            "models.UploadAnswer", await self._transport.ask("GET", make_path("/api/v1/uploads/{upload_id}", upload_id=upload_id))
        )

    async def patch_uploads_one(self, upload_id: str, content: bytes, *, upload_offset: int) -> models.UploadAnswer:
        """At most LIMIT_UPLOAD_MAX at once. After a failure ask how much has arrived, and go on there."""
        return cast(
            "models.UploadAnswer",
            await self._transport.ask(
                "PATCH",
                make_path("/api/v1/uploads/{upload_id}", upload_id=upload_id),
                headers={"upload-offset": upload_offset},
                content=content,
            ),
        )

    async def post_uploads_one_complete(self, upload_id: str, body: models.CompletionBody) -> models.FileAnswer:
        """Called again it gives the same file."""
        return cast(
            "models.FileAnswer",
            await self._transport.ask("POST", make_path("/api/v1/uploads/{upload_id}/complete", upload_id=upload_id), json=body),
        )

    async def get_operations(
        self, *, limit: int | None = None, cursor: str | None = None, q: str | None = None, category: str | None = None
    ) -> models.OperationPage:
        """By name. `q`: a text in name or title; `category`: those of one category."""
        return cast(
            "models.OperationPage",
            await self._transport.ask(
                "GET", "/api/v1/operations", query={"limit": limit, "cursor": cursor, "q": q, "category": category}
            ),
        )

    async def get_operations_one(self, name: str) -> models.OperationAnswer:
        """The reference of an operation"""
        return cast("models.OperationAnswer", await self._transport.ask("GET", make_path("/api/v1/operations/{name}", name=name)))

    async def post_operations_one(
        self, name: str, body: JsonValue | None = None, *, detach: bool | None = None, idempotency_key: str | None = None
    ) -> JsonValue:
        """The answer is the result itself, as a step has it; a result that is a file comes as its bytes where Accept asks for no JSON.

        With an `Idempotency-Key` a call that succeeded is answered again for 24 hours without being made again.
        """
        return await self._transport.ask(
            "POST",
            make_path("/api/v1/operations/{name}", name=name),
            query={"detach": detach},
            headers={"Idempotency-Key": idempotency_key},
            json=body,
        )

    async def get_operations_one_schema(self, name: str) -> models.SchemaAnswer:
        """The schemas of an operation"""
        return cast(
            "models.SchemaAnswer", await self._transport.ask("GET", make_path("/api/v1/operations/{name}/schema", name=name))
        )

    async def post_operations_one_test(self, name: str, body: JsonValue | None = None) -> models.ParametersAnswer:
        """Check parameters; nothing is called"""
        return cast(
            "models.ParametersAnswer",
            await self._transport.ask("POST", make_path("/api/v1/operations/{name}/test", name=name), json=body),
        )

    async def get_info(self) -> models.InfoAnswer:
        """The server and what is on in this workspace"""
        return cast("models.InfoAnswer", await self._transport.ask("GET", "/api/v1/info"))

    async def get_system_health(self) -> models.HealthAnswer:
        """Health, with what each part says"""
        return cast("models.HealthAnswer", await self._transport.ask("GET", "/api/v1/system/health"))

    async def get_system_queues(
        self, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None
    ) -> models.QueueAnswerPage:
        """What waits for workers"""
        return cast(
            "models.QueueAnswerPage",
            await self._transport.ask("GET", "/api/v1/system/queues", query={"limit": limit, "cursor": cursor, "where": where}),
        )

    async def get_system_workers(
        self, *, dead: bool | None = None, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None
    ) -> models.WorkerAnswerPage:
        """Who works here"""
        return cast(
            "models.WorkerAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/system/workers", query={"dead": dead, "limit": limit, "cursor": cursor, "where": where}
            ),
        )

    async def get_system_dead_letters(self, *, limit: int | None = None, cursor: str | None = None) -> models.LetterAnswerPage:
        """Runs of the workspace, then events and messages of the installation, of these the last ones first."""
        return cast(
            "models.LetterAnswerPage",
            await self._transport.ask("GET", "/api/v1/system/dead-letters", query={"limit": limit, "cursor": cursor}),
        )

    async def post_system_dead_letters_one_redrive(self, letter_id: str) -> None:
        """A run's step under the same idempotency key; an event with all its attempts before it."""
        await self._transport.send("POST", make_path("/api/v1/system/dead-letters/{letter_id}/redrive", letter_id=letter_id))

    async def post_system_dead_letters_one_discard(self, letter_id: str) -> None:
        """A run ends as failed, an event or a message is deleted."""
        await self._transport.send("POST", make_path("/api/v1/system/dead-letters/{letter_id}/discard", letter_id=letter_id))

    async def get_system_mail(self, *, limit: int | None = None, cursor: str | None = None) -> models.MailPage:
        """The last ones first. Empty where SMTP_URL is set."""
        return cast(
            "models.MailPage", await self._transport.ask("GET", "/api/v1/system/mail", query={"limit": limit, "cursor": cursor})
        )

    async def get_system_mail_one(self, mail_id: str) -> models.OutboxMailAnswer:
        """A mail of the built-in outbox"""
        return cast(
            "models.OutboxMailAnswer",
            await self._transport.ask("GET", make_path("/api/v1/system/mail/{mail_id}", mail_id=mail_id)),
        )

    async def get_stats_dashboard(self) -> models.DashboardAnswer:
        """The figures of the workspace"""
        return cast("models.DashboardAnswer", await self._transport.ask("GET", "/api/v1/stats/dashboard"))

    async def get_audit(
        self, *, limit: int | None = None, cursor: str | None = None, where: list[str] | None = None, sort: str | None = None
    ) -> models.AuditRowAnswerPage:
        """Rows of the workspace; in the first workspace also those of the installation: people, roles, settings."""
        return cast(
            "models.AuditRowAnswerPage",
            await self._transport.ask(
                "GET", "/api/v1/audit", query={"limit": limit, "cursor": cursor, "where": where, "sort": sort}
            ),
        )

    async def get_audit_checkpoints(
        self, *, limit: int | None = None, cursor: str | None = None, sort: str | None = None
    ) -> models.CheckpointAnswerPage:
        """Keep a copy of them elsewhere: against it a chain that was written anew as a whole is noticed too."""
        return cast(
            "models.CheckpointAnswerPage",
            await self._transport.ask("GET", "/api/v1/audit/checkpoints", query={"limit": limit, "cursor": cursor, "sort": sort}),
        )

    async def get_audit_export(self, *, format: Literal["jsonl", "csv"] | None = None, where: list[str] | None = None) -> bytes:
        """Oldest first. Without `where`, in the first workspace and with `audit:verify`, jsonl is the whole chain with checkpoints and keys.

        Then `flowforge audit verify FILE --key JWK` proves it without us. Otherwise it is a part: rows that the caller may see, for reading.
        """
        return await self._transport.ask_bytes("GET", "/api/v1/audit/export", query={"format": format, "where": where})

    async def post_audit_verify(self) -> models.VerdictAnswer:
        """Goes through every row of the installation. Whoever does not trust this server verifies an export offline."""
        return cast("models.VerdictAnswer", await self._transport.ask("POST", "/api/v1/audit/verify"))

    async def get_audit_one(self, no: str) -> models.AuditRowAnswer:
        """One row"""
        return cast("models.AuditRowAnswer", await self._transport.ask("GET", make_path("/api/v1/audit/{no}", no=no)))
