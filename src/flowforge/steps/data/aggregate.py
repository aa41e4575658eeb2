"""`data.aggregate`."""

from collections.abc import Iterable

from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.data.lists import ListParameters, list_errors, read_items
from flowforge.steps.data.measures import MEASURE_ERRORS, MeasureMaker, Measures


class AggregateParameters(ListParameters):
    """Which figures of which items."""

    measures: Measures = Field(description="The names of the figures, and what each is.")


def aggregate_list(parameters: AggregateParameters, items: Iterable[JsonValue]) -> JsonObject:
    """The figures, once all items were taken."""
    measures = MeasureMaker(parameters.measures).make()
    for index, item in enumerate(items):
        measures.add(item, index)
    return measures.finish()


def aggregate_file(parameters: AggregateParameters, context: OperationContext) -> JsonObject:
    """The form for files; the result is the figures all the same."""
    return aggregate_list(parameters, read_items(parameters, context))


@operation(
    "data.aggregate",
    title="Work out figures",
    category="data",
    icon="sigma",
    nature=Nature.PURE,
    with_file=aggregate_file,
    errors=list_errors(*MEASURE_ERRORS),
    examples=(
        Example(
            "Figures of a list of orders",
            {
                "data": [{"total": 10, "open": True}, {"total": 30, "open": False}, {"total": None}, {"total": 20, "open": True}],
                "measures": {
                    "orders": {"function": "count"},
                    "open": {"function": "count", "where": [{"field": "open", "value": True}]},
                    "turnover": {"function": "sum", "field": "total"},
                    "mean": {"function": "mean", "field": "total"},
                    "largest": {"function": "max", "field": "total"},
                    "spread": {"function": "stddev", "field": "total"},
                    "p90": {"function": "percentile", "percentile": 90, "field": "total"},
                },
            },
            {"orders": 4, "open": 2, "turnover": 60, "mean": 20.0, "largest": 30, "spread": 10.0, "p90": 28},
        ),
        Example(
            "Plain numbers",
            {"data": [3, 1, 2], "measures": {"median": {"function": "median", "field": ""}}},
            {"median": 2},
        ),
    ),
)
def aggregate_items(parameters: AggregateParameters) -> JsonValue:
    """Works out figures over all items of a list or rows of a file: counts, sums, means, extremes, spreads, percentiles, lists.

    Missing and null fields are left out; `sum` of none is 0, counts are 0, the others null. Sums of whole numbers are exact, those of
    fractions are rounded once. An empty `field` is the item itself. Percentiles lie between neighbouring values in proportion.
    """
    return aggregate_list(parameters, parameters.list_items())
