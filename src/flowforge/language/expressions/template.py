"""Values with `${{ … }}` inside, compiled once."""

from collections.abc import Callable
from dataclasses import dataclass

from flowforge.kit.values import JsonValue
from flowforge.language.expressions.context import Context


@dataclass(frozen=True, slots=True)
class SecretText:
    """Text that holds secrets by name; resolved only when an attempt begins. Parts alternate freely: (is_secret, text or name)."""

    parts: tuple[tuple[bool, str], ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled value. `evaluate` gives a fresh JSON value (with `SecretText` inside where the source names secrets).

    `is_constant`: no expression inside; `constant` is then the value itself.
    """

    source: JsonValue
    is_constant: bool
    constant: JsonValue
    evaluate: Callable[[Context], JsonValue]
