"""`text.slug`."""

import re
import unicodedata
from typing import Final

from pydantic import Field

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, StrictModel, operation

_LETTERS: Final = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D"}
    | {"þ": "th", "Þ": "TH", "ł": "l", "Ł": "L", "\u0131": "i", "\u2019": "", "'": ""}
)
"""Letters of European languages that Unicode does not take apart, and marks inside words."""


class SlugParameters(StrictModel):
    """A text that is to stand in a URL or a file's name."""

    data: str = Field(description="The text.", max_length=100_000)
    separator: str = Field(default="-", pattern="^[-_.]?$", description="What joins the words: `-`, `_`, `.` or nothing.")
    max_length: int = Field(
        default=80, ge=1, le=1_000, description="Most characters; it is cut between words where that is possible."
    )
    allow_unicode: bool = Field(
        default=False, description="Whether letters of other scripts are kept; else only a to z and digits are."
    )


@operation(
    "text.slug",
    title="Slug",
    category="text",
    icon="link",
    nature=Nature.PURE,
    examples=(Example("For a URL", {"data": "Größe & Preis: Øl"}, "grosse-preis-ol"),),
)
def make_slug(parameters: SlugParameters) -> JsonValue:
    """Makes a short name of a text, in lower-case letters and digits, as it stands in URLs and names of files.

    Accents are dropped; a text with nothing that can be kept gives an empty one.
    """
    text = parameters.data.translate(_LETTERS)
    if parameters.allow_unicode:
        words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).lower())
    else:
        words = re.findall(r"[a-z0-9]+", unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower())
    return _join(words, parameters.separator, parameters.max_length)


def _join(words: list[str], separator: str, max_length: int) -> str:
    slug = ""
    for word in words:
        longer = f"{slug}{separator}{word}" if slug else word
        if len(longer) > max_length:
            return slug or word[:max_length]
        slug = longer
    return slug
