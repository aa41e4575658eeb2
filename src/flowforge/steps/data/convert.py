"""`data.convert`."""

from typing import Literal

import orjson
import pydantic
from pydantic import Field, model_validator

from flowforge.kit.border import JsonRefusedError, decode_untrusted, encode
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.data.csv_text import CsvOptions, parse_csv, write_csv
from flowforge.steps.data.yaml_text import parse_yaml, write_yaml

Format = Literal["json", "yaml", "csv", "value"]


class ConvertParameters(StrictModel):
    """What to convert, from which format into which."""

    data: pydantic.JsonValue = Field(description="A text in the format `from`, or any value if that is `value`.")
    from_format: Format = Field(
        default="value", alias="from", description="What `data` is: JSON, YAML or CSV text, or a plain value."
    )
    to_format: Format = Field(
        default="value", alias="to", description="What comes out: JSON, YAML or CSV text, or a plain value."
    )
    csv: CsvOptions = Field(default_factory=CsvOptions, description="The dialect of CSV that is read or written.")
    pretty: bool = Field(default=False, description="Whether JSON text is indented.")

    @model_validator(mode="after")
    def _check_text(self) -> "ConvertParameters":
        if self.from_format != "value" and not isinstance(self.data, str):
            raise ValueError(f"data must be a text to be read as {self.from_format}; leave `from` out if it is a value already")
        return self


@operation(
    "data.convert",
    title="Convert data",
    category="data",
    icon="arrow-left-right",
    nature=Nature.PURE,
    errors=(
        ErrorCode(
            "csv_invalid", "The text is no such CSV, or the value cannot be written as CSV; details have the line and column."
        ),
        ErrorCode("yaml_invalid", "The text is no YAML, or more of it than JSON can hold; details have the line and column."),
        ErrorCode("json_invalid", "The text is no JSON; the message has the line and column."),
    ),
    examples=(
        Example(
            "CSV into rows, with numbers",
            {"from": "csv", "data": "name,pieces\nbolt,12\nnut,\n", "csv": {"types": "auto"}},
            [{"name": "bolt", "pieces": 12}, {"name": "nut", "pieces": None}],
        ),
        Example("Rows into CSV", {"to": "csv", "data": [{"name": "bolt", "pieces": 12}]}, "name,pieces\nbolt,12\n"),
        Example(
            "YAML into JSON text",
            {"from": "yaml", "to": "json", "data": "open: no\ntimes: [1, 2.5]\n"},
            '{"open":"no","times":[1,2.5]}',
        ),
    ),
)
def convert(parameters: ConvertParameters) -> JsonValue:
    """Converts between JSON, YAML and CSV text and plain values.

    CSV is a list of rows: objects by the header's names, or lists. YAML is read by version 1.2, so that `no` and `12:30` are texts.
    """
    return _write(_read(parameters), parameters)


def _read(parameters: ConvertParameters) -> JsonValue:
    data = parameters.data
    if not isinstance(data, str):
        return data
    match parameters.from_format:
        case "value":
            return data
        case "json":
            return _parse_json(data)
        case "csv":
            return [*parse_csv(data, parameters.csv)]
        case "yaml":
            return parse_yaml(data)


def _write(value: JsonValue, parameters: ConvertParameters) -> JsonValue:
    match parameters.to_format:
        case "value":
            return value
        case "json":
            return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if parameters.pretty else encode(value).decode()
        case "csv":
            return write_csv(value, parameters.csv)
        case "yaml":
            return write_yaml(value)


def _parse_json(text: str) -> JsonValue:
    try:
        return decode_untrusted(text.encode(), Limits())
    except JsonRefusedError as error:
        raise FatalError(error.message, code=error.reason) from None
