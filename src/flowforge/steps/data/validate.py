"""`data.validate`."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast, get_args

import pydantic
from pydantic import Field, SkipValidation, model_validator

from flowforge.kit.border import decode, encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.schema_faults import make_validator
from flowforge.operations import (
    IS_LITERAL,
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
from flowforge.steps.data.formats import FileFormat, RowFormat, guess_format
from flowforge.steps.data.rows import read_rows
from flowforge.steps.data.xlsx_options import XlsxOptions
from flowforge.steps.data.xml_options import XmlOptions
from flowforge.steps.stored import find_stored

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

ERRORS_MAX: Final = 100
_MESSAGE_MAX: Final = 300
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


class ValidateParameters(StrictModel):
    """What to check against which schema."""

    data: SkipValidation[pydantic.JsonValue] = Field(default=None, description="The value to check.")
    file: FileInput | None = Field(
        default=None, description="A file to check, in place of `data`: with `each` of any size, else at most 25 MiB."
    )
    from_format: FileFormat | None = Field(
        default=None, alias="from", description="The format of `file`; without it the file's name or media type tells."
    )
    schema_: Annotated[dict[str, pydantic.JsonValue], IS_LITERAL] | None = Field(
        default=None,
        alias="schema",
        description="The JSON Schema (2020-12). References lead to its own parts only; nothing is fetched.",
    )
    schema_file: FileInput | None = Field(
        default=None,
        description="A file of JSON or YAML with the schema, in place of `schema`: for a schema that the run itself brings.",
    )
    each: bool = Field(default=False, description="Whether the schema is for each item of a list, or each row of a file.")
    on_invalid: Literal["report", "fail"] = Field(
        default="report", description="`report` tells the faults in the result; `fail` fails the step with them."
    )
    csv: CsvOptions = Field(
        default_factory=CsvOptions, description="The dialect of a CSV file; its cells are texts unless `types` says more."
    )
    xml: XmlOptions = Field(default_factory=XmlOptions, description="How an XML file becomes a value.")
    xlsx: XlsxOptions = Field(default_factory=XlsxOptions, description="The sheet of an Excel file.")

    @model_validator(mode="after")
    def _check_source(self) -> "ValidateParameters":
        require_one(self, "data", "file", null_counts={"data"})
        require_one(self, "schema_", "schema_file")
        if self.each and self.file is None and not isinstance(self.data, list):
            raise ValueError("with `each` data is a list")
        return self


class SchemaError(StrictModel):
    """One fault."""

    path: str = Field(description="Where, such as `orders[0].total`; empty for the whole.")
    message: str = Field(description="What is wrong there.")
    keyword: str = Field(description="The keyword of the schema that says so.")
    row: int | None = Field(default=None, description="With `each`, the item or row, counted from 0.")


class ValidateResult(StrictModel):
    """What was found."""

    is_valid: bool = Field(description="Whether everything fits the schema.")
    checked: int = Field(description="How many values were checked: 1, or with `each` the items or rows.")
    invalid: int = Field(description="How many of them do not fit.")
    errors: list[SchemaError] = Field(description="The first 100 faults.")


def validate_file(parameters: ValidateParameters, context: OperationContext) -> ValidateResult:
    """The form for files: of data, of the schema, or of both."""
    validator = _compile(_read_schema(parameters, context))
    if parameters.file is None:
        return _check(parameters, validator, _list_values(parameters, parameters.data))
    file = parameters.file
    from_format = parameters.from_format or guess_format(find_stored(file))
    dialects = Dialects(parameters.csv, parameters.xml, parameters.xlsx)
    if parameters.each and from_format in get_args(RowFormat):
        return _check(parameters, validator, read_rows(context, file, cast("RowFormat", from_format), dialects.rows))
    return _check(parameters, validator, _list_values(parameters, read_whole(context, file, from_format, dialects)))


@operation(
    "data.validate",
    title="Validate data",
    category="data",
    icon="shield-check",
    nature=Nature.PURE,
    with_file=validate_file,
    errors=(
        ErrorCode("schema_mismatch", "The data do not fit the schema, and `on_invalid` is `fail`; details have the faults."),
        ErrorCode("schema_invalid", "The schema is no JSON Schema of 2020-12, or refers to something outside itself."),
        *READ_ERRORS,
    ),
    examples=(
        Example(
            "An order that lacks something",
            {
                "data": {"id": "A-7", "total": -1},
                "schema": {
                    "type": "object",
                    "required": ["id", "total", "customer"],
                    "properties": {"total": {"type": "number", "minimum": 0}},
                },
            },
            {
                "is_valid": False,
                "checked": 1,
                "invalid": 1,
                "errors": [
                    {"path": "", "message": '"customer" is a required property', "keyword": "required", "row": None},
                    {"path": "total", "message": "-1 is less than the minimum of 0", "keyword": "minimum", "row": None},
                ],
            },
        ),
        Example(
            "Each row of a file",
            {
                "file": {
                    "$file": {
                        "id": "file_01jz00000000000000000000k3",
                        "name": "parts.ndjson",
                        "media_type": "application/x-ndjson",
                        "size": 60,
                        "sha256": "5f0c6a1e2b3d4c5f6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b",
                    }
                },
                "each": True,
                "schema": {"properties": {"pieces": {"type": "integer"}}},
            },
            {
                "is_valid": False,
                "checked": 2,
                "invalid": 1,
                "errors": [{"path": "pieces", "message": '"seven" is not of type "integer"', "keyword": "type", "row": 1}],
            },
        ),
    ),
)
def validate(parameters: ValidateParameters) -> ValidateResult:
    """Checks data against a JSON Schema (2020-12), formats included, and tells every fault with its place.

    Nothing is ever fetched, and patterns take time in proportion to the text. Without `schema` a schema can come out of a file.
    """
    return _check(parameters, _compile(parameters.schema_ or {}), _list_values(parameters, parameters.data))


def _list_values(parameters: ValidateParameters, value: JsonValue) -> list[JsonValue]:
    if not parameters.each:
        return [value]
    if isinstance(value, list):
        return value
    raise FatalError("With `each` a list is checked; the file holds none.", code="rows_expected")


def _read_schema(parameters: ValidateParameters, context: OperationContext) -> JsonObject:
    if parameters.schema_file is None:
        return parameters.schema_ or {}
    from_format = guess_format(find_stored(parameters.schema_file, "schema_file"), "schema_file")
    schema = read_whole(context, parameters.schema_file, from_format, Dialects(), "schema_file")
    if not isinstance(schema, dict):
        raise FatalError("schema_file: a schema is an object; this file holds another value.", code="schema_invalid")
    return schema


def _compile(schema: JsonObject) -> "Draft202012Validator":
    draft = schema.get("$schema", _DRAFT)
    if not isinstance(draft, str) or draft.rstrip("#") != _DRAFT:
        raise FatalError(f"The schema is of {str(draft)[:100]!r}; only {_DRAFT} is known.", code="schema_invalid")
    return _compile_text(encode(schema))


@lru_cache(maxsize=64)
def _compile_text(schema: bytes) -> "Draft202012Validator":
    try:
        return make_validator(cast("JsonObject", decode(schema)))
    except ValueError as fault:
        told = str(getattr(fault, "message", fault))
        raise FatalError(f"The schema is wrong: {told[:_MESSAGE_MAX]}.", code="schema_invalid") from None


def _check(parameters: ValidateParameters, validator: "Draft202012Validator", values: Iterable[JsonValue]) -> ValidateResult:
    checked = invalid = 0
    errors: list[SchemaError] = []
    for row, value in enumerate(values):
        checked += 1
        if validator.is_valid(value):
            continue
        invalid += 1
        left = ERRORS_MAX - len(errors)
        errors.extend(_explain(fault, row if parameters.each else None) for fault in islice(validator.iter_errors(value), left))
    if errors and parameters.on_invalid == "fail":
        raise _mismatch(errors, checked, invalid)
    return ValidateResult(is_valid=invalid == 0, checked=checked, invalid=invalid, errors=errors)


def _explain(fault: "ValidationError", row: int | None) -> SchemaError:
    message = fault.message
    shown = message if len(message) <= _MESSAGE_MAX else f"{message[: _MESSAGE_MAX // 2]} … {message[-_MESSAGE_MAX // 2 :]}"
    return SchemaError(path=_format_path(fault.instance_path), message=shown, keyword=fault.kind.name, row=row)


def _format_path(path: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _mismatch(errors: list[SchemaError], checked: int, invalid: int) -> FatalError:
    first = errors[0]
    place = first.path if first.row is None else f"row {first.row}{f', {first.path}' if first.path else ''}"
    where = f" at {place}" if place else ""
    more = f", and {len(errors) - 1} more faults" if len(errors) > 1 else ""
    details: JsonObject = {
        "checked": checked,
        "invalid": invalid,
        "errors": [cast("JsonValue", error.model_dump(mode="json")) for error in errors],
    }
    return FatalError(f"The data do not fit the schema: {first.message}{where}{more}.", code="schema_mismatch", details=details)
