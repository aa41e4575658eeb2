"""`text.case`."""

from typing import Final, Literal

from pydantic import Field

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, StrictModel, operation
from flowforge.steps.text.words import list_words

_BEFORE_WORDS: Final = '-/("\u2013\u2014\u201c'
Case = Literal["lower", "upper", "title", "sentence", "camel", "pascal", "snake", "kebab", "constant"]


class CaseParameters(StrictModel):
    """A text, and the case it is to have."""

    data: str = Field(description="The text.")
    to: Case = Field(
        description="`lower`, `upper`, `title` and `sentence` keep everything but the letters' case; the others join the words of a name.",
    )


@operation(
    "text.case",
    title="Change the case",
    category="text",
    icon="case-sensitive",
    nature=Nature.PURE,
    examples=(
        Example("A name for a column", {"data": "Delivery address (Street)", "to": "snake"}, "delivery_address_street"),
        Example("A title", {"data": "on its way", "to": "title"}, "On Its Way"),
    ),
)
def change_case(parameters: CaseParameters) -> JsonValue:
    """Writes a text in another case, also in those that programs use for names."""
    data = parameters.data
    match parameters.to:
        case "lower":
            return data.lower()
        case "upper":
            return data.upper()
        case "title":
            return _write_title(data)
        case "sentence":
            return data[:1].upper() + data[1:].lower()
        case _:
            return _join(list_words(data), parameters.to)


def _write_title(text: str) -> str:
    # str.title() would also begin a word behind an apostrophe.
    return "".join(
        letter.upper() if place == 0 or text[place - 1].isspace() or text[place - 1] in _BEFORE_WORDS else letter.lower()
        for place, letter in enumerate(text)
    )


def _join(words: list[str], to: Case) -> str:
    lower = [word.lower() for word in words]
    match to:
        case "snake":
            return "_".join(lower)
        case "kebab":
            return "-".join(lower)
        case "constant":
            return "_".join(word.upper() for word in words)
        case "pascal":
            return "".join(word.capitalize() for word in lower)
        case _:
            return "".join(word.capitalize() if place else word for place, word in enumerate(lower))
