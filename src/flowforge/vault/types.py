"""What the vault gives to others."""

from dataclasses import dataclass, field

from flowforge.kit.values import JsonValue


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, open. Keep it no longer than one attempt; its value is in no `repr`."""

    name: str
    value: str = field(repr=False)
    hosts: tuple[str, ...]
    """Where it may be sent: `api.example.com`, `*.example.com`, each with an optional `:port`; empty: anywhere."""


@dataclass(frozen=True, slots=True)
class SecretSummary:
    """What may be shown of a secret."""

    name: str
    hosts: tuple[str, ...]
    version: int
    """1 at first, one more at each new value."""
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A value of the workspace that workflows read as `vars.<NAME>`."""

    name: str
    value: JsonValue
    version: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Reencryption:
    """What `reencrypt_secrets` did: rows that now have the current key, and rows that no key opens."""

    changed: int
    unreadable: tuple[str, ...]
