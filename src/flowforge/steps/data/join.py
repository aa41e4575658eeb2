"""`data.join`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import (
    ErrorCode,
    Example,
    FatalError,
    FileInput,
    Nature,
    OperationContext,
    StrictModel,
    operation,
    require_one,
)
from flowforge.steps.data.joining import RIGHT_MAX_PARTS, Collisions, Columns, LeftSide, RightSide, list_columns
from flowforge.steps.data.lists import TYPE_MISMATCH, FileParameters, list_errors, read_items, write_items
from flowforge.steps.data.rows import RowFormat, RowOptions, read_rows, write_rows

JOINED_MAX: Final = 1_000_000
"""Rows that a join of values may give."""

Merge = Callable[[JsonObject | None, JsonObject | None], JsonObject]
JoinType = Literal["inner", "left", "right", "full", "semi", "anti"]


class FieldPair(StrictModel):
    """Two fields that must be equal."""

    left: str = Field(min_length=1, description="The field on the left, by a dotted path.")
    right: str = Field(min_length=1, description="The field on the right, by a dotted path.")


class SideNames(StrictModel):
    """The fields that hold the two rows of a pair."""

    left: str = Field(default="left", min_length=1, description="The field that holds the left row.")
    right: str = Field(default="right", min_length=1, description="The field that holds the right row.")


class JoinParameters(FileParameters):
    """What to join with what, on which fields."""

    data: list[pydantic.JsonValue] | None = Field(default=None, description="The rows on the left.")
    right: list[pydantic.JsonValue] | None = Field(default=None, description="The rows on the right, which are held in memory.")
    right_file: FileInput | None = Field(default=None, description="A file with the rows on the right, in place of `right`.")
    right_from: RowFormat | None = Field(
        default=None, description="The format of `right_file`; without it the file's name or media type tells."
    )
    on: str | list[str | FieldPair] = Field(
        min_length=1,
        description="The fields that must be equal: a name that both sides have, or a list of names and of pairs `{left, right}`.",
    )
    type: JoinType = Field(
        default="inner",
        description="`inner`: pairs; `left`, `right`, `full`: also the rows of that side, or both, that have no partner; `semi`: left rows "
        "that have a partner, as they are; `anti`: left rows that have none.",
    )
    expect: Literal["many_to_many", "one_to_many", "many_to_one", "one_to_one"] = Field(
        default="many_to_many",
        description="How often a key may be there on the left and on the right; where it is there more often, the step fails.",
    )
    collisions: Collisions = Field(
        default="suffix",
        description="What happens to a field that both rows have and that is not joined on: both stay, by the suffixes; that of one side "
        "is left out; or the step fails.",
    )
    left_suffix: str = Field(default="", description="Is put behind the name of such a field of the left row.")
    right_suffix: str = Field(default="_right", description="Is put behind the name of such a field of the right row.")
    nest: SideNames | None = Field(
        default=None, description="In place of one flat row: the two rows of a pair below these names."
    )

    @model_validator(mode="after")
    def _check_sides(self) -> "JoinParameters":
        require_one(self, "data", "file")
        require_one(self, "right", "right_file")
        if self.left_suffix == self.right_suffix and self.collisions == "suffix":
            raise ValueError("the suffixes must differ")
        if self.nest is not None and self.nest.left == self.nest.right:
            raise ValueError("the names in nest must differ")
        return self

    def list_pairs(self) -> list[tuple[str, str]]:
        """The fields on the left and on the right."""
        given = [self.on] if isinstance(self.on, str) else self.on
        return [(pair, pair) if isinstance(pair, str) else (pair.left, pair.right) for pair in given]


Opener = Callable[[], Iterable[JsonValue]]


def join_lists(parameters: JoinParameters, open_left: Opener, right: Iterable[JsonValue]) -> Iterator[JsonObject]:
    """The joined rows, one after another. The right side is read whole; the left one twice where fields of both are put together."""
    pairs = parameters.list_pairs()
    side = RightSide([name for _, name in pairs], is_single=parameters.expect in {"many_to_one", "one_to_one"})
    side.read(right)
    left = LeftSide([name for name, _ in pairs], side, is_single=parameters.expect in {"one_to_many", "one_to_one"})
    kind = parameters.type
    if kind in {"semi", "anti"}:
        return (row for row, partners in left.match(open_left()) if bool(partners) is (kind == "semi"))
    merge = _make_merge(parameters, open_left, side)
    return _pair(left.match(open_left()), side, merge, kind)


def _make_merge(parameters: JoinParameters, open_left: Opener, side: RightSide) -> Merge:
    if parameters.nest is not None:
        names = parameters.nest
        return lambda left, right: {names.left: left, names.right: right}
    columns = Columns(
        list_columns(open_left(), "left"),
        side.columns,
        {left for left, right in parameters.list_pairs() if left == right},
        parameters.collisions,
        (parameters.left_suffix, parameters.right_suffix),
    )
    return columns.merge


def _pair(
    matched: Iterable[tuple[JsonObject, list[JsonObject]]], side: RightSide, merge: Merge, kind: JoinType
) -> Iterator[JsonObject]:
    for row, partners in matched:
        for partner in partners:
            yield merge(row, partner)
        if not partners and kind in {"left", "full"}:
            yield merge(row, None)
    if kind in {"right", "full"}:
        yield from (merge(None, row) for row in side.list_unpaired())


def join_file(parameters: JoinParameters, context: OperationContext) -> JsonObject:
    """The form in which a side is a file."""
    right: Iterable[JsonValue] = parameters.right or []
    if parameters.right_file is not None:
        options = RowOptions(parameters.csv, parameters.xlsx)
        right = read_rows(context, parameters.right_file, parameters.right_from, options, field="right_file")
    if parameters.file is not None:
        return write_items(parameters, context, join_lists(parameters, lambda: read_items(parameters, context), right))
    joined = join_lists(parameters, lambda: parameters.data or [], right)
    return write_rows(context, joined, parameters.to_format, name=f"joined.{parameters.to_format}").to_json()


@operation(
    "data.join",
    title="Join two lists",
    category="data",
    icon="combine",
    nature=Nature.PURE,
    with_file=join_file,
    errors=list_errors(
        TYPE_MISMATCH,
        ErrorCode("join_not_unique", "A key is there more often than `expect` allows; the message says on which side and row."),
        ErrorCode("name_collision", "Two fields of a joined row have one name; see `collisions`."),
        ErrorCode("too_many_rows", f"Values join to more than {JOINED_MAX} rows; give the left side as a file."),
        ErrorCode("too_many_values", f"The right side has more than {RIGHT_MAX_PARTS} values; put the larger list on the left."),
    ),
    examples=(
        Example(
            "Orders with the names of their customers",
            {
                "data": [{"order": 1, "customer": "a"}, {"order": 2, "customer": "b"}, {"order": 3, "customer": "x"}],
                "right": [{"id": "a", "name": "Ada"}, {"id": "b", "name": "Bob"}],
                "on": [{"left": "customer", "right": "id"}],
                "type": "left",
                "expect": "many_to_one",
            },
            [
                {"order": 1, "customer": "a", "id": "a", "name": "Ada"},
                {"order": 2, "customer": "b", "id": "b", "name": "Bob"},
                {"order": 3, "customer": "x", "id": None, "name": None},
            ],
        ),
        Example(
            "Orders that were never paid",
            {"data": [{"id": 1}, {"id": 2}], "right": [{"id": 2, "paid": True}], "on": "id", "type": "anti"},
            [{"id": 1}],
        ),
        Example(
            "Fields of one name, and rows of both sides",
            {"data": [{"id": 1, "n": 1}], "right": [{"id": 1, "n": 2}, {"id": 3, "n": 4}], "on": "id", "type": "full"},
            [{"id": 1, "n": 1, "n_right": 2}, {"id": 3, "n": None, "n_right": 4}],
        ),
    ),
)
def join_rows(parameters: JoinParameters) -> JsonValue:
    """Joins the rows of two lists whose fields are equal.

    Rows come in the order of the left side, the partners of each in that of the right one; rows of the right without partner come last.
    A key that is there several times on both sides (many to many) gives every pair of its rows. Null and missing keys have no partner,
    1 equals 1.0. Where a row has no partner, the other side's fields are null. A field of one name that is joined on is there once.
    """
    rows: list[JsonValue] = []
    for row in join_lists(parameters, lambda: parameters.data or [], parameters.right or []):
        if len(rows) == JOINED_MAX:
            raise FatalError(
                f"The lists join to more than {JOINED_MAX} rows; check that the keys are not there many times on both sides, or give "
                "the left side as a file.",
                code="too_many_rows",
            )
        rows.append(row)
    return rows
