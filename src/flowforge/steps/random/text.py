"""`random.text`."""

import math
from typing import Final, Literal

from pydantic import Field, model_validator

from flowforge.kit.chance import draw_below, draw_order
from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.random.amounts import Count, draw_each

_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = "0123456789"
ALPHABETS: Final[dict[str, str]] = {
    "alphanumeric": _LOWER + _LOWER.upper() + _DIGITS,
    "letters": _LOWER + _LOWER.upper(),
    "lower": _LOWER,
    "upper": _LOWER.upper(),
    "digits": _DIGITS,
    "hex": _DIGITS + "abcdef",
    "base64url": _LOWER.upper() + _LOWER + _DIGITS + "-_",
    "readable": "23456789abcdefghjkmnpqrstuvwxyz",
    "printable": "".join(map(chr, range(33, 127))),
}
"""`readable` leaves out what looks alike: 0 o, 1 i l."""

AlphabetName = Literal[
    "alphanumeric", "letters", "lower", "upper", "digits", "hex", "base64url", "readable", "printable"
]  # fmt: skip


class TextParameters(StrictModel):
    """How long, and of which characters."""

    length: int = Field(default=32, ge=1, le=4096, description="How many characters.")
    alphabet: AlphabetName = Field(
        default="alphanumeric", description="Which characters may come; `readable` leaves out those that look alike."
    )
    characters: str | None = Field(
        default=None, min_length=2, max_length=4096, description="In place of `alphabet`: the characters that may come."
    )
    require: list[str] = Field(
        default_factory=list[str],
        max_length=20,
        description="Sets of characters of which each must be there at least once, such as `0123456789` for passwords with a digit.",
    )
    count: Count = Field(default=None, description="How many texts, as a list; without it one text.")

    @model_validator(mode="after")
    def _check_characters(self) -> "TextParameters":
        characters = self.list_characters()
        if len(set(characters)) != len(characters):
            raise ValueError("characters names a character twice")
        if len(self.require) > self.length:
            raise ValueError("require has more sets than the text has characters")
        for required in self.require:
            if not set(required) & set(characters):
                raise ValueError(f"require: no character of {required!r} can come")
        return self

    def list_characters(self) -> str:
        """The characters that may come."""
        return ALPHABETS[self.alphabet] if self.characters is None else self.characters


class TextResult(StrictModel):
    """What was drawn."""

    text: str | list[str] = Field(description="The text, or the list of texts.")
    entropy_bits: float = Field(
        description="How many bits somebody who guesses must find, for each text; what is required is left out."
    )


@operation(
    "random.text",
    title="Draw a random text",
    category="random",
    icon="key-round",
    nature=Nature.EFFECT,
    examples=(
        Example("A token", {"length": 12}, {"text": "a8Kd03mZqP1x", "entropy_bits": 71.5}, varies=True),
        Example(
            "A code to read out", {"length": 8, "alphabet": "readable"}, {"text": "k7wm2xhd", "entropy_bits": 39.6}, varies=True
        ),
    ),
)
async def draw_text(parameters: TextParameters, context: OperationContext) -> TextResult:
    """Draws a random text, good enough for passwords and tokens: each character as likely as any other, from the source for secrets.

    The text is in the journal like any output. A secret that a workflow keeps belongs into the vault.
    """
    del context
    characters = parameters.list_characters()
    drawn: JsonValue = draw_each(parameters.count, lambda: _draw(characters, parameters))
    bits = math.log2(len(characters)) * parameters.length
    return TextResult.model_validate({"text": drawn, "entropy_bits": round(bits, 1)})


def _draw(characters: str, parameters: TextParameters) -> str:
    text = [characters[draw_below(len(characters))] for _ in range(parameters.length)]
    places = draw_order(parameters.length)
    for place, required in zip(places, parameters.require, strict=False):
        allowed = [character for character in dict.fromkeys(required) if character in characters]
        text[place] = allowed[draw_below(len(allowed))]
    return "".join(text)
