"""Triggers as answers and as rows of the audit."""

from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.times import format_optional_time
from flowforge.triggers.models import TriggerRequestRow
from flowforge.triggers.registry import KINDS
from flowforge.triggers.schemas import FiguresAnswer, RequestAnswer, TriggerAnswer
from flowforge.triggers.types import Figures, Paused, Trigger

_MASK = "***"
_OPEN_NAMES = frozenset({"user", "header"})


def show_trigger(trigger: Trigger, figures: Figures, public_url: str | None) -> TriggerAnswer:
    """The trigger as an answer. `public_url`: of the server."""
    return TriggerAnswer.model_validate(
        {
            "id": trigger.id,
            "workflow_id": trigger.workflow_id,
            "workflow": trigger.workflow,
            "key": trigger.key,
            "uses": trigger.kind,
            "with": hide_secrets(trigger.kind, trigger.config),
            "input": trigger.input,
            "source": trigger.source.value,
            "status": trigger.status.value,
            "paused": trigger.paused.value or None,
            "url": find_url(trigger, public_url),
            "figures": show_figures(figures),
            "created_at": format_timestamp_ms(trigger.created_at_ms),
            "created_by": trigger.created_by,
            "updated_at": format_timestamp_ms(trigger.updated_at_ms),
            "updated_by": trigger.updated_by,
        }
    )


def show_figures(figures: Figures) -> FiguresAnswer:
    return FiguresAnswer(
        total=figures.total,
        successful=figures.successful,
        failed=figures.failed,
        success_rate=figures.successful / figures.total if figures.total else None,
        last_fired_at=format_optional_time(figures.last_fired_at_ms),
    )


def show_request(row: TriggerRequestRow) -> RequestAnswer:
    return RequestAnswer(
        at=format_timestamp_ms(row.at),
        remote_address=row.remote_address,
        user_agent=row.user_agent,
        status=row.status,
        run_id=row.run_id,
        event_id=row.event_id,
        error=row.error,
    )


def find_url(trigger: Trigger, public_url: str | None) -> str | None:
    """Where a webhook takes deliveries."""
    path = trigger.config.get("path")
    if trigger.kind != "webhook" or not isinstance(path, str):
        return None
    return f"{(public_url or '').rstrip('/')}{find_hook_path(trigger.workspace_id, path)}"


def find_hook_path(workspace_id: str, path: str) -> str:
    """The address's path; the default workspace need not be named."""
    return f"/hooks/{path}" if workspace_id == DEFAULT_WORKSPACE_ID else f"/hooks/@{workspace_id}/{path}"


def describe_for_audit(trigger: Trigger) -> JsonObject:
    """What of a trigger is noted when it changes; never a secret."""
    described: JsonObject = {
        "workflow_id": trigger.workflow_id,
        "uses": trigger.kind,
        "with": hide_secrets(trigger.kind, trigger.config),
        "paused": trigger.paused.value if trigger.paused is not Paused.NO else None,
    }
    return described | ({"input": trigger.input} if trigger.has_input else {})


def hide_secrets(kind: str, config: JsonObject) -> JsonObject:
    """The parameters with what stands in plain text where a secret belongs masked."""
    found = KINDS.get(kind)
    secret = frozenset[str]() if found is None else found.definition.secret_fields
    return {name: _hide(value) if name in secret else value for name, value in config.items()}


def _hide(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: item if name in _OPEN_NAMES else _hide(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hide(item) for item in value]
    if isinstance(value, str) and value not in ("", "none") and "${{" not in value:
        return _MASK
    return value
