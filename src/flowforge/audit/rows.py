"""A row as JSON, and its hash.

That is the SHA-256 of the hash of the row before (its 64 hexadecimal digits) and of the row's RFC 8785 JSON without `hash`.
"""

import hashlib
from typing import Final

from flowforge.audit.canonical import encode_canonically
from flowforge.audit.models import AuditRow
from flowforge.audit.types import Entry
from flowforge.kit.border import decode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms

FIRST_HASH: Final = "0" * 64
"""Stands before the first row."""
HASHED: Final = frozenset(
    {
        *("no", "workspace_id", "entity", "entity_id", "action", "actor"),
        *("credential", "ip", "request_id", "before", "after", "time"),
    }
)
"""What a row's hash is over."""


def chain_hash(previous: str, row: JsonObject) -> str:
    """The hash of a row, of which nothing but `HASHED` is looked at."""
    hashed: JsonObject = {name: row.get(name) for name in HASHED}
    return hashlib.sha256(previous.encode() + encode_canonically(hashed)).hexdigest()


def describe_entry(entry: Entry) -> JsonObject:
    """As it is hashed and exported, `hash` at the end."""
    return {
        "no": entry.no,
        "workspace_id": entry.workspace_id,
        "entity": entry.entity,
        "entity_id": entry.entity_id,
        "action": entry.action,
        "actor": entry.actor,
        "credential": entry.credential,
        "ip": entry.ip,
        "request_id": entry.request_id,
        "before": entry.before,
        "after": entry.after,
        "time": format_timestamp_ms(entry.at_ms),
        "hash": entry.hash,
    }


def read_entry(row: AuditRow) -> Entry:
    """What a stored row holds.

    Raises:
        InvariantError: its JSON was changed from outside and is none any more.
    """
    return Entry(
        no=row.no,
        workspace_id=row.workspace_id,
        entity=row.entity,
        entity_id=row.entity_id,
        action=row.action,
        actor=row.actor,
        credential=row.credential,
        ip=_read_json(row.ip),
        request_id=row.request_id,
        before=_read_json(row.before),
        after=_read_json(row.after),
        at_ms=row.at,
        hash=row.hash,
    )


def write_json(value: JsonValue) -> str | None:
    """JSON as a column holds it: null is NULL."""
    return None if value is None else encode_canonically(value).decode()


def _read_json(text: str | None) -> JsonValue:
    return None if text is None else decode(text)
