"""`id.short`."""

import math
from typing import Final

from pydantic import Field

from flowforge.kit.chance import draw_below
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.random.amounts import Count, draw_each

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class ShortParameters(StrictModel):
    """How long, and how it is written."""

    length: int = Field(default=10, ge=4, le=64, description="How many characters, without prefix and hyphens.")
    prefix: str = Field(default="", max_length=40, description="Stands before it, such as `ORD-`.")
    group: int | None = Field(default=None, ge=2, le=16, description="A hyphen stands after each so many characters.")
    upper: bool = Field(default=True, description="Whether letters are in upper case.")
    check: bool = Field(
        default=False,
        description="Whether a check character is added, which tells a wrong or swapped character: Crockford's, modulo 37.",
    )
    count: Count = Field(default=None, description="How many different ones, as a list; without it one.")


class ShortResult(StrictModel):
    """What was made."""

    id: str | list[str] = Field(description="The id, or the list of ids.")
    safe_count: int = Field(
        description="So many ids of this length can be made until two are the same with a chance of one in a million."
    )


@operation(
    "id.short",
    title="Make a short id",
    category="id",
    icon="hash",
    nature=Nature.EFFECT,
    examples=(
        Example(
            "An order's number",
            {"prefix": "ORD-", "length": 8, "group": 4},
            {"id": "ORD-7K2M-Q9XD", "safe_count": 1482},
            varies=True,
        ),
    ),
)
async def make(parameters: ShortParameters, context: OperationContext) -> ShortResult:
    """Makes a short random id that people can read out and type: digits and letters without I, L, O and U (Crockford's base 32).

    Short ids can meet: `safe_count` tells from how many on that is to be reckoned with. Whoever stores them must refuse one that is there.
    """
    del context
    seen: set[str] = set()
    made = draw_each(parameters.count, lambda: _make_new(parameters, seen))
    safe = math.isqrt(2 * 32**parameters.length // 1_000_000)
    return ShortResult.model_validate({"id": made, "safe_count": min(safe, 2**53)})


def _make_new(parameters: ShortParameters, seen: set[str]) -> str:
    """One that this call has not made yet."""
    while True:
        characters = "".join(_ALPHABET[draw_below(32)] for _ in range(parameters.length))
        if characters not in seen:
            seen.add(characters)
            return _write(parameters, characters)


_CHECK_ALPHABET: Final = _ALPHABET + "*~$=U"


def _write(parameters: ShortParameters, characters: str) -> str:
    if parameters.check:
        value = 0
        for character in characters:
            value = value * 32 + _ALPHABET.index(character)
        characters += _CHECK_ALPHABET[value % 37]
    if parameters.group is not None:
        group = parameters.group
        characters = "-".join(characters[start : start + group] for start in range(0, len(characters), group))
    return parameters.prefix + (characters if parameters.upper else characters.lower())
