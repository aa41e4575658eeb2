"""`data.query`."""

from typing import Literal

import pydantic
from pydantic import Field, SkipValidation, model_validator

from flowforge.kit.values import JsonValue
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
from flowforge.steps.data.converting import READ_ERRORS, Dialects, read_whole
from flowforge.steps.data.csv_text import CsvOptions
from flowforge.steps.data.formats import FileFormat, guess_format
from flowforge.steps.data.query_budget import FILE_UNITS_MAX, QUERY_ERRORS, QUERY_MAX_CHARACTERS, QueryBudget
from flowforge.steps.data.xlsx_options import XlsxOptions
from flowforge.steps.data.xml_options import XmlOptions
from flowforge.steps.stored import find_stored


class QueryParameters(StrictModel):
    """What to ask of which data."""

    data: SkipValidation[pydantic.JsonValue] = Field(default=None, description="The value that is asked.")
    file: FileInput | None = Field(
        default=None, description="A file that is asked, in place of `data`, as data.convert would read it; at most 25 MiB."
    )
    from_format: FileFormat | None = Field(
        default=None, alias="from", description="The format of `file`; without it the file's name or media type tells."
    )
    language: Literal["jmespath", "jsonpath", "jsonata"] = Field(
        default="jmespath",
        description="`jmespath` makes a value out of the data; `jsonpath` (RFC 9535) lists what it finds; for `jsonata` call data.jsonata.",
    )
    query: str = Field(min_length=1, max_length=QUERY_MAX_CHARACTERS, description="The query, at most 4,096 characters.")
    give: Literal["values", "first", "paths", "nodes"] = Field(
        default="values",
        description=(
            "What JSONPath gives: all values found, the first one (null if there is none), the normalized path of each, "
            "or objects with `path` and `value`."
        ),
    )
    csv: CsvOptions = Field(default_factory=CsvOptions, description="The dialect of a CSV file.")
    xml: XmlOptions = Field(default_factory=XmlOptions, description="How an XML file becomes a value.")
    xlsx: XlsxOptions = Field(default_factory=XlsxOptions, description="The sheet of an Excel file.")

    @model_validator(mode="after")
    def _check_source(self) -> "QueryParameters":
        require_one(self, "data", "file", null_counts={"data"})
        if self.give != "values" and self.language == "jmespath":
            raise ValueError("`give` is for JSONPath; a JMESPath query says itself what it gives")
        return self


def query_file(parameters: QueryParameters, context: OperationContext) -> JsonValue:
    """The form for files."""
    file = parameters.file or {}
    from_format = parameters.from_format or guess_format(find_stored(file))
    dialects = Dialects(parameters.csv, parameters.xml, parameters.xlsx)
    return _query(parameters, read_whole(context, file, from_format, dialects), QueryBudget(FILE_UNITS_MAX))


@operation(
    "data.query",
    title="Query data",
    category="data",
    icon="search",
    nature=Nature.PURE,
    with_file=query_file,
    errors=(
        *QUERY_ERRORS,
        ErrorCode("language", "JSONata runs in a process of its own: call data.jsonata."),
        *READ_ERRORS,
    ),
    examples=(
        Example(
            "Names of large orders, by JMESPath",
            {
                "data": {"orders": [{"name": "bolts", "total": 120}, {"name": "nuts", "total": 80}]},
                "query": "orders[?total > `100`].name",
            },
            ["bolts"],
        ),
        Example(
            "All prices, wherever they stand, by JSONPath",
            {"data": {"shop": [{"price": 3}, {"box": {"price": 4.5}}]}, "language": "jsonpath", "query": "$..price"},
            [3, 4.5],
        ),
        Example(
            "Where they stand",
            {
                "data": {"shop": [{"price": 3}, {"box": {"price": 4.5}}]},
                "language": "jsonpath",
                "query": "$..price",
                "give": "paths",
            },
            ["$['shop'][0]['price']", "$['shop'][1]['box']['price']"],
        ),
    ),
)
def query_data(parameters: QueryParameters) -> JsonValue:
    """Asks data by JMESPath, or by JSONPath (RFC 9535) whose `match` and `search` take time in proportion to the text.

    Numbers stay exact. A query on a value may look at two million values, one on a file at twenty million.
    """
    return _query(parameters, parameters.data, QueryBudget())


def _query(parameters: QueryParameters, data: JsonValue, budget: QueryBudget) -> JsonValue:
    # Both libraries take 20 ms, for those who ask only.
    match parameters.language:
        case "jmespath":
            from flowforge.steps.data.jmespath_query import query_jmespath  # see above

            return query_jmespath(parameters.query, data, budget)
        case "jsonpath":
            return _ask_jsonpath(parameters, data, budget)
        case "jsonata":
            raise FatalError("JSONata runs in a process of its own: call data.jsonata with this query and data.", code="language")


def _ask_jsonpath(parameters: QueryParameters, data: JsonValue, budget: QueryBudget) -> JsonValue:
    from flowforge.steps.data.jsonpath_query import format_path, query_jsonpath  # as above

    nodes = query_jsonpath(parameters.query, data, budget)
    for node in nodes:
        budget.charge_whole(node.value)
    match parameters.give:
        case "values":
            return [node.value for node in nodes]
        case "first":
            return nodes[0].value if nodes else None
        case "paths":
            return [format_path(node) for node in nodes]
        case "nodes":
            return [{"path": format_path(node), "value": node.value} for node in nodes]
