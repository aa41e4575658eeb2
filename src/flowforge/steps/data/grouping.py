"""Groups of items whose fields have equal values."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final, Generic, TypeVar

from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, FatalError
from flowforge.steps.data.fields import identify, read_field, require_row

GROUPS_MAX: Final = 1_000_000
TOO_MANY_GROUPS: Final = ErrorCode("too_many_groups", f"The fields make more than {GROUPS_MAX} groups; group by fewer fields.")

FieldList = Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1, max_length=100)]
"""One field or several, by dotted paths."""

GroupT = TypeVar("GroupT")


class Groups(Generic[GroupT]):
    """What belongs to each group, in the order in which the groups first appear. A missing field counts as null."""

    def __init__(self, fields: Sequence[str], make: Callable[[], GroupT]) -> None:
        self._fields = fields
        self._make = make
        self._groups: dict[bytes, GroupT] = {}
        self._values: list[tuple[JsonValue, ...]] = []
        """The values of the fields of each group, in the order of the groups."""

    def find(self, item: JsonValue, index: int) -> GroupT:
        """The group that an item belongs to, made if it is the first one.

        Raises:
            FatalError: `type_mismatch` for an item that is no object; `too_many_groups`.
        """
        row = require_row(item, index)
        values = tuple(read_field(row, field) for field in self._fields)
        identity = identify([*values])
        found = self._groups.get(identity)
        if found is None:
            found = self._groups[identity] = self._make()
            self._values.append(values)
            self._check_count()
        return found

    def list_groups(self) -> Iterator[tuple[JsonObject, GroupT]]:
        """The values of the fields of each group, and what belongs to it."""
        for values, group in zip(self._values, self._groups.values(), strict=True):
            yield dict(zip(self._fields, values, strict=True)), group

    def _check_count(self) -> None:
        if len(self._groups) > GROUPS_MAX:
            raise FatalError(
                f"The values of {', '.join(self._fields)} make more than {GROUPS_MAX} groups; group by fewer fields.",
                code="too_many_groups",
            )
