"""`data.group`."""

from collections.abc import Iterable, Iterator

from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.data.fields import list_paths
from flowforge.steps.data.grouping import TOO_MANY_GROUPS, FieldList, Groups
from flowforge.steps.data.lists import ListParameters, list_errors, run_on_file
from flowforge.steps.data.measures import MEASURE_ERRORS, Measure, MeasureMaker, Measures


class GroupParameters(ListParameters):
    """What to group, by which fields."""

    by: FieldList = Field(description="The field, or fields, whose equal values make a group, by dotted paths.")
    measures: Measures = Field(
        default_factory=lambda: {"items": Measure(function="list")},
        description="Names of the result's further fields, and what each is; without it `items`, the list of the group's rows.",
    )

    @model_validator(mode="after")
    def _check_names(self) -> "GroupParameters":
        both = sorted(set(self.measures) & set(list_paths(self.by)))
        if both:
            raise ValueError(f"{both[0]} is the name of a field to group by and of a measure; rename the measure")
        return self


def group_list(parameters: GroupParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """One object for each group, once all items were taken."""
    groups = Groups(list_paths(parameters.by), MeasureMaker(parameters.measures).make)
    for index, item in enumerate(items):
        groups.find(item, index).add(item, index)
    for key, measures in groups.list_groups():
        yield {**key, **measures.finish()}


def group_file(parameters: GroupParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, group_list)


@operation(
    "data.group",
    title="Group rows",
    category="data",
    icon="group",
    nature=Nature.PURE,
    with_file=group_file,
    errors=list_errors(*MEASURE_ERRORS, TOO_MANY_GROUPS),
    examples=(
        Example(
            "Orders and turnover of each region",
            {
                "data": [{"region": "Europe", "total": 10}, {"region": "Asia", "total": 5}, {"region": "Europe", "total": 2.5}],
                "by": "region",
                "measures": {"orders": {"function": "count"}, "turnover": {"function": "sum", "field": "total"}},
            },
            [{"region": "Europe", "orders": 2, "turnover": 12.5}, {"region": "Asia", "orders": 1, "turnover": 5}],
        ),
        Example(
            "The rows of each kind",
            {"data": [{"kind": "a", "n": 1}, {"kind": "b", "n": 2}, {"kind": "a", "n": 3}], "by": ["kind"]},
            [
                {"kind": "a", "items": [{"kind": "a", "n": 1}, {"kind": "a", "n": 3}]},
                {"kind": "b", "items": [{"kind": "b", "n": 2}]},
            ],
        ),
    ),
)
def group_rows(parameters: GroupParameters) -> JsonValue:
    """Groups rows by the values of one or more fields, and works out figures for each group.

    Groups come in the order in which their first row does. A missing field counts as null, 1 equals 1.0; figures leave out rows whose
    field is missing or null, and `sum` of none is 0, the others null.
    """
    return [*group_list(parameters, parameters.list_items())]
