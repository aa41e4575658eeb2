"""`data.convert`."""

import pydantic
from pydantic import Field, SkipValidation, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, Example, FileInput, Nature, OperationContext, StrictModel, operation, require_one
from flowforge.steps.data.converting import READ_ERRORS, Dialects, Format, convert_stored, format_data, parse_data
from flowforge.steps.data.csv_text import CsvOptions
from flowforge.steps.data.formats import guess_format, rename
from flowforge.steps.data.rows import STORAGE_ERRORS
from flowforge.steps.data.xlsx_options import XlsxOptions
from flowforge.steps.data.xml_options import XmlOptions
from flowforge.steps.stored import find_stored


class ConvertParameters(StrictModel):
    """What to convert, from which format into which."""

    data: SkipValidation[pydantic.JsonValue] = Field(
        default=None, description="A text in the format `from` (a workbook in base64), or any value if that is `value`."
    )
    file: FileInput | None = Field(
        default=None, description="A file to convert, in place of `data`; the result is a file too, unless `to` is `value`."
    )
    from_format: Format | None = Field(
        default=None,
        alias="from",
        description="What comes in. Without it `data` is a plain value, and a file's name or media type tells its format.",
    )
    to_format: Format = Field(
        default="value", alias="to", description="What comes out: a text or file in a format, or a plain value."
    )
    csv: CsvOptions = Field(default_factory=CsvOptions, description="The dialect of CSV that is read or written.")
    to_csv: CsvOptions | None = Field(
        default=None, description="The dialect of CSV that is written, where CSV of another dialect is read."
    )
    xml: XmlOptions = Field(default_factory=XmlOptions, description="How XML becomes a value, and a value XML.")
    xlsx: XlsxOptions = Field(default_factory=XlsxOptions, description="The sheet of the workbook that is read or written.")
    pretty: bool = Field(default=False, description="Whether JSON and XML text is indented.")
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The name of the new file; without it that of `file`, with another ending.",
    )

    @model_validator(mode="after")
    def _check_source(self) -> "ConvertParameters":
        require_one(self, "data", "file", null_counts={"data"})
        if self.file is not None and self.from_format == "value":
            raise ValueError("a file has a format; leave `from` out if its name tells it")
        if self.file is None and self.from_format not in (None, "value") and not isinstance(self.data, str):
            raise ValueError(f"data must be a text to be read as {self.from_format}; leave `from` out if it is a value already")
        return self


def convert_file(parameters: ConvertParameters, context: OperationContext) -> JsonValue:
    """The form for files: from rows to rows (json, ndjson, csv, xlsx) of any size, else at most 25 MiB."""
    file = parameters.file or {}
    known = find_stored(file)
    named = parameters.from_format
    source = guess_format(known) if named is None or named == "value" else named
    target = parameters.to_format
    name = parameters.name or (known.name if target == "value" else rename(known.name, target))
    return convert_stored(context, file, (source, target), (_read_dialects(parameters), _write_dialects(parameters)), name)


@operation(
    "data.convert",
    title="Convert data",
    category="data",
    icon="arrow-left-right",
    nature=Nature.PURE,
    with_file=convert_file,
    errors=(
        *READ_ERRORS,
        *STORAGE_ERRORS,
        ErrorCode("base64_invalid", "The text is no base64, as a workbook in `data` must be."),
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
        Example(
            "XML into a value",
            {"from": "xml", "data": '<order id="42"><item>bolt</item><item>nut</item></order>'},
            {"order": {"@id": "42", "item": ["bolt", "nut"]}},
        ),
        Example(
            "A CSV file of any size into NDJSON",
            {
                "file": {
                    "$file": {
                        "id": "file_01jz00000000000000000000c5",
                        "name": "parts.csv",
                        "media_type": "text/csv",
                        "size": 26,
                        "sha256": "d1ff7bf0d4e3cf6b3ffb6a5ad0de0c8a7a3e1a2b4c7d6f5e4a3b2c1d0e9f8a7b",
                    }
                },
                "to": "ndjson",
            },
            {
                "$file": {
                    "id": "file_01jz00000000000000000000d7",
                    "name": "parts.ndjson",
                    "media_type": "application/x-ndjson",
                    "size": 62,
                    "sha256": "0d2a6f4b8c1e3a5d7f9b0c2e4a6d8f1b3c5e7a9d0f2b4c6e8a1d3f5b7c9e0a2d",
                }
            },
            varies=True,
        ),
    ),
)
def convert(parameters: ConvertParameters) -> JsonValue:
    """Converts between JSON, NDJSON, YAML, CSV, XML, Excel workbooks and plain values, as text or as files.

    CSV, NDJSON and a sheet are lists of rows: objects by the header's names, or lists. YAML is read by version 1.2, so that `no` and
    `12:30` are texts. In XML an attribute is `@name`, text beside others `#text`, and elements of one name are a list. What cannot be
    held exactly is an error that names the place: a number beyond 64 bits, a date that does not exist, a byte of another encoding.
    """
    reading = _read_dialects(parameters)
    value = parameters.data
    if isinstance(value, str) and parameters.from_format is not None:
        value = parse_data(value, parameters.from_format, reading)
    return format_data(value, parameters.to_format, _write_dialects(parameters))


def _read_dialects(parameters: ConvertParameters) -> Dialects:
    return Dialects(parameters.csv, parameters.xml, parameters.xlsx, parameters.pretty)


def _write_dialects(parameters: ConvertParameters) -> Dialects:
    return Dialects(parameters.to_csv or parameters.csv, parameters.xml, parameters.xlsx, parameters.pretty)
