"""Workflows, triggers, secrets, variables, operations."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

from flowforge_client._async.pages import AsyncPages
from flowforge_client._generated.async_operations import AsyncOperations
from flowforge_client._generated.models import (
    DifferenceAnswer,
    DraftAnswer,
    FiguresAnswer,
    FiredAnswer,
    NewTrigger,
    OperationAnswer,
    PublishedAnswer,
    SavedDraftAnswer,
    SecretAnswer,
    TriggerAnswer,
    UseAnswer,
    ValidatedAnswer,
    VariableAnswer,
    VersionAnswer,
    VersionWithSourceAnswer,
    WorkflowAnswer,
    WorkflowRowAnswer,
)
from flowforge_client._generated.models import (
    OperationRow as OperationSummary,
)
from flowforge_client.values import JsonObject, JsonValue


def _write_source(source: str | Mapping[str, Any]) -> dict[str, Any]:
    """A document as text (YAML or JSON) or as values, as bodies have it."""
    return {"yaml": source} if isinstance(source, str) else {"document": dict(source)}


def _quote(etag: str) -> str:
    return etag if etag.endswith('"') or etag == "*" else f'"{etag}"'


class AsyncWorkflows:
    """`client.workflows`. A workflow is named by its name or id; `source` is its YAML as text, or the document as values."""

    def __init__(self, api: AsyncOperations) -> None:
        self._api = api

    async def create(self, source: str | Mapping[str, Any], *, allow_faults: bool = False) -> WorkflowAnswer:
        """Makes a workflow with this draft. Raises ApiError 422 with all faults of the document, 409 where the name is taken."""
        body: Any = _write_source(source)
        return cast("WorkflowAnswer", await self._api.post_workflows(body, allow_faults=allow_faults))

    async def validate(self, source: str | Mapping[str, Any], *, strict: bool = False) -> ValidatedAnswer:
        """All faults and warnings of a document, which is not stored."""
        body: Any = {**_write_source(source), "strict": strict}
        return await self._api.post_workflows_validate(body)

    def list(
        self, *, search: str = "", where: Sequence[str] = (), include_deleted: bool = False
    ) -> AsyncPages[WorkflowRowAnswer]:
        conditions = [*where] or None
        return AsyncPages(
            lambda cursor: self._api.get_workflows(q=search, where=conditions, include_deleted=include_deleted, cursor=cursor)
        )

    async def get(self, workflow: str) -> WorkflowRowAnswer:
        return await self._api.get_workflows_one(workflow)

    async def get_draft(self, workflow: str) -> DraftAnswer:
        return await self._api.get_workflows_one_draft(workflow)

    async def save_draft(
        self, workflow: str, source: str | Mapping[str, Any], *, etag: str | None = None, allow_faults: bool = False
    ) -> SavedDraftAnswer:
        """Replaces the draft. `etag`: of the draft that was read (None: there is none yet), so that nobody's work is overwritten."""
        body: Any = _write_source(source)
        if etag is None:
            return await self._api.put_workflows_one_draft(workflow, body, allow_faults=allow_faults, if_none_match="*")
        return await self._api.put_workflows_one_draft(workflow, body, allow_faults=allow_faults, if_match=_quote(etag))

    async def publish(self, workflow: str, *, note: str = "", etag: str | None = None) -> PublishedAnswer:
        """Makes the draft the next version. `etag`: of the draft that was looked at; left out, the present one is taken."""
        if etag is None:
            etag = (await self._api.get_workflows_one_draft(workflow))["etag"]
        return await self._api.post_workflows_one_publish(workflow, {"note": note}, if_match=_quote(etag))

    async def publish_version(self, workflow: str, version: int) -> PublishedAnswer:
        """Makes an earlier version the current one again."""
        return await self._api.post_workflows_one_versions_one_publish(workflow, str(version))

    def versions(self, workflow: str) -> AsyncPages[VersionAnswer]:
        return AsyncPages(lambda cursor: self._api.get_workflows_one_versions(workflow, cursor=cursor))

    async def get_version(self, workflow: str, version: int) -> VersionWithSourceAnswer:
        return await self._api.get_workflows_one_versions_one(workflow, str(version))

    async def diff(self, workflow: str, from_: int | str | None = None, to: int | str = "draft") -> DifferenceAnswer:
        return await self._api.get_workflows_one_diff(workflow, from_=None if from_ is None else str(from_), to=str(to))

    async def docs(self, workflow: str) -> str:
        """Its documentation, as Markdown."""
        return await self._api.get_workflows_one_docs(workflow)

    async def deprecate(self, workflow: str, *, note: str = "") -> WorkflowAnswer:
        return await self._api.post_workflows_one_deprecate(workflow, {"note": note})

    async def delete(self, workflow: str, *, force: bool = False) -> None:
        """Deletes it so that it can be restored. Raises ApiError 409 where runs are open, unless `force` cancels them."""
        await self._api.delete_workflows_one(workflow, force=force)

    async def restore(self, workflow: str) -> WorkflowAnswer:
        return await self._api.post_workflows_one_restore(workflow)


class AsyncTriggers:
    """`client.triggers`."""

    def __init__(self, api: AsyncOperations) -> None:
        self._api = api

    def list(self, *, where: Sequence[str] = ()) -> AsyncPages[TriggerAnswer]:
        conditions = [*where] or None
        return AsyncPages(lambda cursor: self._api.get_triggers(where=conditions, cursor=cursor))

    async def create(self, workflow_id: str, uses: str, with_: JsonObject, *, input: JsonValue = None) -> TriggerAnswer:  # noqa: A002
        body: dict[str, Any] = {"workflow_id": workflow_id, "uses": uses, "with": with_}
        if input is not None:
            body["input"] = input
        return await self._api.post_triggers(cast("NewTrigger", body))

    async def get(self, trigger_id: str) -> TriggerAnswer:
        return await self._api.get_triggers_one(trigger_id)

    async def delete(self, trigger_id: str) -> None:
        await self._api.delete_triggers_one(trigger_id)

    async def fire(self, trigger_id: str, payload: JsonValue = None, *, idempotency_key: str | None = None) -> FiredAnswer:
        """Starts what the trigger starts, once also where the connection is lost meanwhile."""
        body: Any = {} if payload is None else {"payload": payload}
        key = idempotency_key or str(uuid.uuid4())
        return await self._api.post_triggers_one_fire(trigger_id, body, idempotency_key=key)

    async def pause(self, trigger_id: str, *, events: str = "keep") -> TriggerAnswer:
        """Starts nothing any more; `events`: whether to `keep` or to `refuse` what comes meanwhile."""
        body: Any = {"events": events}
        return await self._api.post_triggers_one_pause(trigger_id, body)

    async def resume(self, trigger_id: str) -> TriggerAnswer:
        return await self._api.post_triggers_one_resume(trigger_id)

    async def stats(self, trigger_id: str) -> FiguresAnswer:
        return await self._api.get_triggers_one_stats(trigger_id)


class AsyncSecrets:
    """`client.secrets`. Values go to the server and never come back."""

    def __init__(self, api: AsyncOperations) -> None:
        self._api = api

    def list(self) -> AsyncPages[SecretAnswer]:
        return AsyncPages(lambda cursor: self._api.get_secrets(cursor=cursor))

    async def set(self, name: str, value: str, *, hosts: Sequence[str] = ()) -> SecretAnswer:
        """Makes a secret, or gives it a new value. `hosts`: only steps that talk to these may use it."""
        return await self._api.put_secrets_one(name, {"value": value, "hosts": [*hosts]})

    async def delete(self, name: str) -> None:
        await self._api.delete_secrets_one(name)

    def usage(self, name: str) -> AsyncPages[UseAnswer]:
        """The workflows that name it."""
        return AsyncPages(lambda cursor: self._api.get_secrets_one_usage(name, cursor=cursor))


class AsyncVariables:
    """`client.variables`."""

    def __init__(self, api: AsyncOperations) -> None:
        self._api = api

    def list(self) -> AsyncPages[VariableAnswer]:
        return AsyncPages(lambda cursor: self._api.get_variables(cursor=cursor))

    async def set(self, name: str, value: JsonValue) -> VariableAnswer:
        return await self._api.put_variables_one(name, {"value": value})

    async def delete(self, name: str) -> None:
        await self._api.delete_variables_one(name)


class AsyncCatalog:
    """`client.operations`: what a step can do."""

    def __init__(self, api: AsyncOperations) -> None:
        self._api = api

    def list(self, *, search: str = "") -> AsyncPages[OperationSummary]:
        return AsyncPages(lambda cursor: self._api.get_operations(q=search, cursor=cursor))

    async def get(self, name: str) -> OperationAnswer:
        return await self._api.get_operations_one(name)

    async def call(self, name: str, parameters: JsonObject) -> JsonValue:
        """Calls an operation once, without a run; its result. Raises ApiError 422 OPERATION_FAILED where it fails."""
        return await self._api.post_operations_one(name, parameters)

    async def start(self, name: str, parameters: JsonObject, *, idempotency_key: str | None = None) -> str:
        """Starts a run of this one step, once also where the connection is lost meanwhile; the run's id."""
        key = idempotency_key or str(uuid.uuid4())
        answer: Any = await self._api.post_operations_one(name, parameters, detach=True, idempotency_key=key)
        return str(answer["run_id"])
