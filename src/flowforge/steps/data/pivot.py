"""`data.pivot`."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import pydantic
from pydantic import Field

from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.data.fields import list_paths, read_field
from flowforge.steps.data.grouping import GROUPS_MAX, TOO_MANY_GROUPS, FieldList, Groups
from flowforge.steps.data.lists import ListParameters, list_errors, run_on_file
from flowforge.steps.data.measures import MEASURE_ERRORS, Measure, MeasureMaker, MeasureSet

COLUMNS_MAX: Final = 5_000
_CELL: Final = "cell"


class PivotParameters(ListParameters):
    """Which fields become rows, columns and cells."""

    rows: FieldList = Field(description="The field, or fields, whose different values make the rows, by dotted paths.")
    columns: str = Field(description="The field whose different values become columns, by a dotted path.")
    measure: Measure = Field(
        default_factory=lambda: Measure(function="count"), description="The figure in each cell; without it the number of items."
    )
    order: Literal["appearance", "name"] = Field(
        default="appearance", description="Whether columns stand as their values first appear, or by name."
    )
    fill: pydantic.JsonValue = Field(default=None, description="What stands in cells that no item belongs to.")
    total: str | None = Field(
        default=None, min_length=1, description="The name of one more column, with the figure of the whole row."
    )


class _Row:
    """The cells of one row."""

    def __init__(self, maker: MeasureMaker) -> None:
        self._maker = maker
        self.total = maker.make()
        self.cells: dict[str, MeasureSet] = {}

    def find(self, column: str) -> MeasureSet:
        if column not in self.cells:
            self.cells[column] = self._maker.make()
        return self.cells[column]


def pivot_list(parameters: PivotParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The rows of the table, once all items were taken."""
    maker = MeasureMaker({_CELL: parameters.measure})
    rows = Groups(list_paths(parameters.rows), lambda: _Row(maker))
    columns: dict[str, None] = {}
    cells = 0
    for index, item in enumerate(items):
        row = rows.find(item, index)
        column = _name_column(read_field(item, parameters.columns))
        if column not in columns:
            _check_column(parameters, column, columns)
        cells += column not in row.cells
        if cells > GROUPS_MAX:
            raise FatalError(
                f"The table has more than {GROUPS_MAX} cells; pivot by fields with fewer values.", code="too_many_groups"
            )
        row.find(column).add(item, index)
        if parameters.total is not None:
            row.total.add(item, index)
    names = sorted(columns) if parameters.order == "name" else [*columns]
    for key, row in rows.list_groups():
        yield {**key, **_make_cells(parameters, row, names)}


def pivot_file(parameters: PivotParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, pivot_list)


@operation(
    "data.pivot",
    title="Pivot rows into a table",
    category="data",
    icon="table-2",
    nature=Nature.PURE,
    with_file=pivot_file,
    errors=list_errors(
        *MEASURE_ERRORS,
        TOO_MANY_GROUPS,
        ErrorCode("too_many_columns", f"The values of a field make more than {COLUMNS_MAX} columns."),
        ErrorCode("name_collision", "A value would become a column that has the name of a field of `rows`, or of `total`."),
    ),
    examples=(
        Example(
            "Turnover by city and month",
            {
                "data": [
                    {"city": "Ulm", "month": "01", "total": 5},
                    {"city": "Bonn", "month": "02", "total": 7},
                    {"city": "Ulm", "month": "01", "total": 3},
                    {"city": "Ulm", "month": "02", "total": 1},
                ],
                "rows": "city",
                "columns": "month",
                "measure": {"function": "sum", "field": "total"},
                "fill": 0,
                "total": "year",
            },
            [{"city": "Ulm", "01": 8, "02": 1, "year": 9}, {"city": "Bonn", "01": 0, "02": 7, "year": 7}],
        ),
    ),
)
def pivot_rows(parameters: PivotParameters) -> JsonValue:
    """Turns the values of a field into columns: one row for each group, one figure in each cell.

    Columns are named by the value: texts as they are, others as JSON (`null`, `true`, `12`). Rows come as they first appear.
    """
    return [*pivot_list(parameters, parameters.list_items())]


def _name_column(value: JsonValue) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else encode(value).decode()


def _check_column(parameters: PivotParameters, column: str, columns: dict[str, None]) -> None:
    columns[column] = None
    if len(columns) > COLUMNS_MAX:
        raise FatalError(
            f"{parameters.columns} has more than {COLUMNS_MAX} values, which would each be a column; swap rows and columns.",
            code="too_many_columns",
        )
    if column in list_paths(parameters.rows) or column == parameters.total:
        raise FatalError(
            f"The value {column!r} of {parameters.columns} would be a column that is there already; rename it.",
            code="name_collision",
            details=[column],
        )


def _make_cells(parameters: PivotParameters, row: _Row, names: list[str]) -> JsonObject:
    cells: JsonObject = {name: row.cells[name].finish()[_CELL] if name in row.cells else parameters.fill for name in names}
    return cells if parameters.total is None else {**cells, parameters.total: row.total.finish()[_CELL]}
