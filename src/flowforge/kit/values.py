"""JSON values, as they travel through workflows, and the check at the border."""

from typing import Final, TypeAlias

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
JsonObject: TypeAlias = dict[str, JsonValue]

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1
