"""Plain values that go to the server and come back."""

import re
from typing import Final, TypeAlias

JsonValue: TypeAlias = str | int | float | bool | list["JsonValue"] | dict[str, "JsonValue"] | None
JsonObject: TypeAlias = dict[str, JsonValue]

FormFile: TypeAlias = tuple[str, bytes, str]
"""A file of a form: its name, its bytes, its media type."""

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def read_seconds(length: str | float) -> float:
    """A length of time in seconds: `2m`, `1h30m`, `500ms`, or a number of seconds.

    Raises:
        ValueError: the text is none.
    """
    if not isinstance(length, str):
        return float(length)
    if _LENGTH.sub("", length) or not length:
        raise ValueError(f"{length!r} is no length of time; write it like 30s, 2m or 1h30m.")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _LENGTH.findall(length))
