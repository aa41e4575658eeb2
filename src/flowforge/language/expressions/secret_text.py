"""Text that names secrets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretText:
    """Text that holds secrets by name; resolved only when an attempt begins. Parts alternate freely: (is_secret, text or name)."""

    parts: tuple[tuple[bool, str], ...]
