"""What a query may cost. On a value it runs inside a turn of the engine, which nothing can interrupt."""

from typing import Final

from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, FatalError

QUERY_MAX_CHARACTERS: Final = 4_096
UNITS_MAX: Final = 2_000_000
"""Two or three seconds at most. A unit is a value that is looked at or made, or 16 characters of text that are."""
FILE_UNITS_MAX: Final = 20_000_000
"""For a file, in a process of its own."""
_UNIT_CHARACTERS: Final = 16

QUERY_INVALID: Final = ErrorCode("query_invalid", "The query is wrong; details have the position, counted from 1.")
QUERY_ERRORS: Final = (
    QUERY_INVALID,
    ErrorCode("query_failed", "The query cannot be applied to this data, such as a sum of texts."),
    ErrorCode("query_limit", "The query looks at or makes too many values."),
)


class QueryBudget:
    """Units that are left for one query."""

    def __init__(self, units: int = UNITS_MAX) -> None:
        self._units = units
        self._left = units

    def charge(self, units: int) -> None:
        """Raises FatalError (`query_limit`)."""
        self._left -= units
        if self._left < 0:
            raise FatalError(
                f"The query looks at or makes more than {self._units:,} values; make it simpler, or the data smaller.",
                code="query_limit",
            )

    def charge_text(self, characters: int) -> None:
        """Raises as `charge`."""
        self.charge(1 + characters // _UNIT_CHARACTERS)

    def charge_whole(self, value: JsonValue) -> None:
        """For all values inside, each as often as it stands there. Raises as `charge`."""
        if isinstance(value, dict):
            self.charge(1 + len(value))
            for item in value.values():
                self.charge_whole(item)
        elif isinstance(value, list):
            self.charge(1 + len(value))
            for item in value:
                self.charge_whole(item)
        elif isinstance(value, str):
            self.charge_text(len(value))


def refuse_query(language: str, told: str, position: int) -> FatalError:
    """`position` counts characters of the query from 1."""
    return FatalError(
        f"The {language} is wrong: {told} (at character {position}).", code=QUERY_INVALID.code, details={"position": position}
    )
