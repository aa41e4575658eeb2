"""`data.unpivot`."""

from collections.abc import Iterable, Iterator

from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.data.fields import require_row
from flowforge.steps.data.lists import TYPE_MISMATCH, ListParameters, list_errors, run_on_file


class UnpivotParameters(ListParameters):
    """Which columns become rows."""

    keep: list[str] = Field(default_factory=list[str], max_length=1000, description="Fields that stay, in each of the new rows.")
    columns: list[str] | None = Field(
        default=None, min_length=1, max_length=5000, description="Fields that become rows; without it all that do not stay."
    )
    name: str = Field(default="name", min_length=1, description="The field of the new rows that holds the column's name.")
    value: str = Field(default="value", min_length=1, description="The field of the new rows that holds the column's value.")
    skip_null: bool = Field(default=False, description="Whether columns whose value is null make no row.")

    @model_validator(mode="after")
    def _check_names(self) -> "UnpivotParameters":
        names = [*self.keep, self.name, self.value]
        if len(set(names)) != len(names):
            raise ValueError("keep, name and value must name different fields")
        return self


def unpivot_list(parameters: UnpivotParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The new rows, one after another."""
    for index, item in enumerate(items):
        row = require_row(item, index)
        kept: JsonObject = {name: row.get(name) for name in parameters.keep}
        columns = parameters.columns or [name for name in row if name not in kept]
        for column in columns:
            is_skipped = column not in row or (parameters.skip_null and row[column] is None)
            if not is_skipped:
                yield {**kept, parameters.name: column, parameters.value: row[column]}


def unpivot_file(parameters: UnpivotParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, unpivot_list)


@operation(
    "data.unpivot",
    title="Turn columns into rows",
    category="data",
    icon="table-rows-split",
    nature=Nature.PURE,
    with_file=unpivot_file,
    errors=list_errors(TYPE_MISMATCH),
    examples=(
        Example(
            "A row for each month",
            {
                "data": [{"city": "Ulm", "01": 8, "02": 1}, {"city": "Bonn", "02": 7}],
                "keep": ["city"],
                "name": "month",
                "value": "total",
            },
            [
                {"city": "Ulm", "month": "01", "total": 8},
                {"city": "Ulm", "month": "02", "total": 1},
                {"city": "Bonn", "month": "02", "total": 7},
            ],
        ),
    ),
)
def unpivot_rows(parameters: UnpivotParameters) -> JsonValue:
    """Makes a row of each column of a row: its name and its value, besides the fields that stay. The way back from `data.pivot`.

    A column that a row has not got makes no row; a field that stays and is missing is null.
    """
    return [*unpivot_list(parameters, parameters.list_items())]
