"""What others give to the audit log, and what it gives to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flowforge.kit.keyring import Keyring
from flowforge.kit.values import JsonValue

INSTALLATION: Final = ""
"""As a row's workspace: it is of the installation, not of any workspace."""
SYSTEM_ACTOR: Final = "system"


@dataclass(frozen=True, slots=True)
class Author:
    """Who does something, by what right, and from where. `at_ms`: wall time; None: now.

    `actor`: `user:usr_…`, `anonymous`, `system` or the like. A person's address is sealed with that person's key, which needs the key
    ring; `Personal` values need it too.
    """

    actor: str
    credential: str = ""
    address: str = ""
    request_id: str = ""
    at_ms: int | None = None
    keyring: Keyring | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Personal:
    """A value in `before` or `after` that tells of a person: kept sealed with a key of that person's, unreadable once it is erased."""

    user_id: str
    value: JsonValue = field(repr=False)


Noted = Mapping[str, object]
"""`before` and `after` as callers give them: JSON in which any value may be a `Personal`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row as it is stored and hashed: `ip`, `before` and `after` may hold sealed values (`persons.SEALED`)."""

    no: int
    workspace_id: str | None
    entity: str
    entity_id: str
    action: str
    actor: str
    credential: str
    ip: JsonValue
    request_id: str
    before: JsonValue
    after: JsonValue
    at_ms: int
    hash: str
