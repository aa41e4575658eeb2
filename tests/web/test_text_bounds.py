"""What people write is bounded before it comes to a database: SQLite takes any length, the servers refuse what is too long for a column."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Column, String, Text

import flowforge
from flowforge.upkeep.tables import list_tables

DOCUMENT: Final[dict[str, Any]] = json.loads(
    (Path(str(flowforge.__file__)).parent / "web" / "pages" / "openapi.json").read_bytes()
)
SCHEMAS: Final[dict[str, Any]] = DOCUMENT["components"]["schemas"]
WITHOUT_BOUND: Final = {
    # Whole documents and values: their columns take any length, and the bound of bodies holds.
    *("CreateWorkflowBody.yaml", "ValidateBody.yaml", "DocumentBody.yaml", "DraftPart.source", "VersionPart.source"),
    *("SecretBody.value", "Configuration.variables"),
    # Compared with what there is.
    *("BulkBody.ids", "BulkBody.where", "ChosenEvents.ids", "CreateSetBody.workflows", "ChangeSetBody.workflows"),
    *("ExportBody.workflows", "FlagBody.workspaces", "NewKeyBody.permissions", "NewRole.permissions", "ChangedRole.permissions"),
    *("OverridesBody.allow", "OverridesBody.deny", "SettingsChange.default_role", "Configuration.exported_at"),
    # Checked by their own rules, and kept in JSON.
    *("OidcProvider.name", "SecretBody.hosts"),
}
STORED: Final = {
    "StartBody": "runs",
    "SignalBody": "events",
    "CreateWorkflowBody": "workflows",
    "ChangeWorkflowBody": "workflows",
    "WorkflowPart": "workflows",
    "CreateProjectBody": "projects",
    "ChangeProjectBody": "projects",
    "ProjectPart": "projects",
    "CreateSetBody": "workflow_sets",
    "ChangeSetBody": "workflow_sets",
    "SetPart": "workflow_sets",
    "CreateTemplateBody": "templates",
    "ChangeTemplateBody": "templates",
    "TemplatePart": "templates",
    "NewCalendar": "calendars",
    "CalendarPatch": "calendars",
    "NewUserBody": "users",
    "RegisterBody": "users",
    "ChangeUserBody": "users",
    "ChangeBody": "users",
    "OidcProvider": "users",
    "NewGroup": "user_groups",
    "ChangedGroup": "user_groups",
    "NewRole": "custom_roles",
    "ChangedRole": "custom_roles",
    "NewWorkspace": "workspaces",
    "ChangedWorkspace": "workspaces",
    "NewKeyBody": "api_keys",
    "ChangeKeyBody": "api_keys",
    "SubscriptionBody": "event_subscriptions",
    "SubscriptionChange": "event_subscriptions",
    "UploadBody": "uploads",
}
"""Bodies whose texts go into a row of this table, each into the column of its name."""
IN_OTHER_COLUMNS: Final = {"SignalBody.key": "events.correlation", "StartBody.labels": "run_labels.value"}
COMPARED: Final = {"OidcProvider.name"}


def find_bound(schema: Any) -> float:
    """The longest text that the schema takes, in any of its forms; infinite where any is allowed."""
    if not isinstance(schema, dict):
        return 0
    known = cast("dict[str, Any]", schema)
    forms = [*known.get("anyOf", ()), *known.get("oneOf", ())]
    forms += [known.get(inside) for inside in ("items", "propertyNames", "additionalProperties")]
    inner = max(map(find_bound, forms), default=0)
    if known.get("type") != "string" or any(name in known for name in ("enum", "const", "format", "contentMediaType")):
        return inner
    if "maxLength" in known:
        return known["maxLength"]
    width = re.fullmatch(r"\^(\[[^]]+\])(\[[^]]+\])?\{(?:\d+,)?(\d+)\}\$", known.get("pattern", ""))
    return float("inf") if width is None else int(width[3]) + (width[2] is not None)


def list_bodies() -> set[str]:
    """The schemas of which bodies of requests are made."""
    found: set[str] = set()
    left: list[Any] = [
        operation["requestBody"]
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    ]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            inside = cast("dict[str, Any]", part)
            name = str(inside.get("$ref", "")).rpartition("/")[2]
            left += inside.values()
            left += [] if not name or name in found else [SCHEMAS[name]]
            found |= {name} if name else set()
        elif isinstance(part, list):
            left += cast("list[Any]", part)
    return found


def list_texts() -> Iterator[tuple[str, float]]:
    for name in sorted(list_bodies()):
        for field, schema in SCHEMAS[name].get("properties", {}).items():
            yield f"{name}.{field}", find_bound(schema)


def list_columns() -> dict[str, Column[Any]]:
    return {f"{table.name}.{column.name}": column for table in list_tables() for column in table.columns}


def test_each_text_of_a_body_has_a_bound():
    unbounded = {name for name, bound in list_texts() if bound == float("inf")}
    assert unbounded == WITHOUT_BOUND


def test_each_text_of_a_body_fits_its_column():
    columns, texts = list_columns(), dict(list_texts())
    looked_at = 0
    for text, bound in texts.items():
        body, _, field = text.partition(".")
        column = columns.get(IN_OTHER_COLUMNS.get(text, f"{STORED.get(body)}.{field}"))
        if column is None or isinstance(column.type, Text) or not isinstance(column.type, String) or text in COMPARED:
            continue
        looked_at += 1
        assert bound <= (column.type.length or 0), f"{text} takes {bound} characters, {column} {column.type.length}"
    assert looked_at > 40
    assert STORED.keys() <= SCHEMAS.keys()
