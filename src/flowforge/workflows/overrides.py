"""What a workflow's row takes from its document, and what was set beside the document, which wins and outlives publishing."""

from collections.abc import Mapping
from typing import cast

from flowforge.kit.border import decode, encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.workflows.models import WorkflowRow
from flowforge.workflows.views import plain_labels, plain_text


def apply_document(row: WorkflowRow, document: Mapping[str, JsonValue]) -> None:
    """Title, description and labels of the document, under what was set beside it."""
    overrides = read_overrides(row)
    row.title = plain_text(overrides.get("title"), plain_text(document.get("title"), row.name))
    row.description = plain_text(document.get("description"))
    _write_labels(row, merge_patch(cast("JsonObject", plain_labels(document.get("labels"))), _read_labels(overrides)))


def override_title(row: WorkflowRow, title: str) -> None:
    row.title = title
    row.overrides = encode(read_overrides(row) | {"title": title}).decode()


def override_labels(row: WorkflowRow, patch: JsonObject) -> None:
    """A merge patch: null takes a label away, that of the document too."""
    overrides = read_overrides(row)
    _write_labels(row, merge_patch(cast("JsonObject", decode(row.labels)), patch))
    overrides["labels"] = _read_labels(overrides) | patch
    row.overrides = encode(overrides).decode()


def read_overrides(row: WorkflowRow) -> JsonObject:
    return {} if row.overrides is None else cast("JsonObject", decode(row.overrides))


def merge_patch(values: JsonObject, patch: JsonObject) -> JsonObject:
    """One level of a JSON Merge Patch (RFC 7396)."""
    return {name: value for name, value in (values | patch).items() if value is not None}


def _read_labels(overrides: JsonObject) -> JsonObject:
    labels = overrides.get("labels")
    return labels if isinstance(labels, dict) else {}


def _write_labels(row: WorkflowRow, labels: JsonObject) -> None:
    row.labels = encode(labels).decode()
