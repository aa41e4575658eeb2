"""`text.split`."""

import re
from typing import Final, Literal

from pydantic import Field, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, StrictModel, operation

_WORDS: Final = re.compile(r"\w+(?:['\u2019]\w+)*")


class SplitParameters(StrictModel):
    """A text, and where it is cut."""

    data: str = Field(description="The text.")
    by: Literal["separator", "lines", "words", "length"] = Field(default="separator", description="What the text is cut by.")
    separator: str = Field(
        default=",", min_length=1, max_length=1_000, description="For `separator`: the text between two parts."
    )
    length: int | None = Field(default=None, ge=1, description="For `length`: the most characters in a part.")
    trim: bool = Field(default=True, description="Whether white space around parts is cut off.")
    keep_empty: bool = Field(default=False, description="Whether empty parts are kept.")
    limit: int | None = Field(default=None, ge=1, description="Most parts; the last one then holds the rest.")

    @model_validator(mode="after")
    def _check_length(self) -> "SplitParameters":
        if (self.by == "length") != (self.length is not None):
            raise ValueError("length belongs to `by: length`, which needs it")
        if self.limit is not None and self.by != "separator":
            raise ValueError("limit is for `by: separator`")
        return self


@operation(
    "text.split",
    title="Split a text",
    category="text",
    icon="split",
    nature=Nature.PURE,
    examples=(
        Example("By commas", {"data": "red, green,, blue"}, ["red", "green", "blue"]),
        Example("Into words", {"data": "It's on its way!", "by": "words"}, ["It's", "on", "its", "way"]),
    ),
)
def split_text(parameters: SplitParameters) -> JsonValue:
    """Cuts a text into a list: at a separator, into lines, words, or parts of a length."""
    parts = (part.strip() if parameters.trim else part for part in _cut(parameters))
    return [part for part in parts if part or parameters.keep_empty]


def _cut(parameters: SplitParameters) -> list[str]:
    data = parameters.data
    match parameters.by:
        case "separator":
            return data.split(parameters.separator, -1 if parameters.limit is None else parameters.limit - 1)
        case "lines":
            return data.splitlines()
        case "words":
            return _WORDS.findall(data)
        case "length":
            size = parameters.length or 1
            return [data[start : start + size] for start in range(0, len(data), size)]
