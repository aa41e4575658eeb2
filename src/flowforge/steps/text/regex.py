"""`text.regex`."""

from typing import Literal

from pydantic import Field, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, Example, Nature, StrictModel, operation
from flowforge.steps.text.patterns import PATTERN_ERRORS, Flag, apply_pattern


class RegexParameters(StrictModel):
    """A text, a pattern, and what to do where it matches."""

    data: str = Field(description="The text.")
    pattern: str = Field(
        description="The regular expression, in RE2's syntax (no look-around and no back-references).",
        min_length=1,
        max_length=4_096,
    )
    action: Literal["find_all", "find", "test", "replace", "split"] = Field(
        default="find_all",
        description="`find_all`: all matches; `find`: the first one, or null; `test`: whether there is one; `replace`; `split`.",
    )
    replacement: str | None = Field(
        default=None, description="For `replace`: the text put there; `\\1` and `\\g<name>` insert groups."
    )
    flags: list[Flag] = Field(
        default_factory=list[Flag],
        description="`ignore_case`; `multiline`: ^ and $ match at each line; `dot_all`: a dot matches a line end too.",
    )
    limit: int = Field(default=10_000, ge=1, le=1_000_000, description="Most matches that are looked for.")

    @model_validator(mode="after")
    def _check_replacement(self) -> "RegexParameters":
        if (self.action == "replace") != (self.replacement is not None):
            raise ValueError("replacement belongs to the action replace, which needs it")
        return self


@operation(
    "text.regex",
    title="Regular expression",
    category="text",
    icon="regex",
    nature=Nature.PURE,
    errors=(*PATTERN_ERRORS, ErrorCode("replacement_invalid", "The replacement names a group that the pattern does not have.")),
    examples=(
        Example(
            "Order numbers in a text",
            {"data": "Orders A-17 and B-4.", "pattern": "(?P<line>[A-Z])-([0-9]+)"},
            [
                {"match": "A-17", "start": 7, "end": 11, "groups": ["A", "17"], "names": {"line": "A"}},
                {"match": "B-4", "start": 16, "end": 19, "groups": ["B", "4"], "names": {"line": "B"}},
            ],
        ),
        Example(
            "Hide digits",
            {"data": "IBAN DE02 1203", "pattern": "[0-9]", "action": "replace", "replacement": "*"},
            "IBAN DE** ****",
        ),
    ),
)
def match_regex(parameters: RegexParameters) -> JsonValue:
    """Finds, tests, replaces or splits by a regular expression, in a time that grows with the length of the text only."""
    return apply_pattern(
        parameters.data, parameters.pattern, parameters.action, parameters.replacement, parameters.flags, parameters.limit
    )
