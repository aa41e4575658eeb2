"""Lists as operations take them: as a value, or as a file of rows that is worked through one row after the other."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import pydantic
from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, FileInput, OperationContext, StrictModel, require_one
from flowforge.steps.data.formats import rename
from flowforge.steps.data.rows import (
    ROW_ERRORS,
    CsvOptions,
    RowFormat,
    RowOptions,
    XlsxOptions,
    guess_row_format,
    read_rows,
    write_rows,
)
from flowforge.steps.stored import find_stored

TYPE_MISMATCH: Final = ErrorCode(
    "type_mismatch", "A value is of a type that the operation cannot work with; the message names item and field."
)


class FileParameters(StrictModel):
    """A file in the place of a value, and the formats of what is read and written."""

    file: FileInput | None = Field(
        default=None,
        description="A file with the items, in place of `data`; it may be of any size. The result is then a file too.",
    )
    from_format: RowFormat | None = Field(
        default=None, alias="from", description="The format of `file`; without it the file's name or media type tells."
    )
    to_format: RowFormat = Field(default="ndjson", alias="to", description="The format of the file that comes out.")
    csv: CsvOptions = Field(
        default_factory=CsvOptions,
        description="The dialect of CSV files; `header` and `columns` belong to the one that is read, if one is.",
    )
    xlsx: XlsxOptions = Field(
        default_factory=XlsxOptions,
        description="The sheet of Excel files; `header` and `columns` belong to the one that is read, if one is.",
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """What an operation is about comes first: `data`, its own fields, and then those that belong to files."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        inherited = [field.alias or name for name, field in FileParameters.model_fields.items()]
        for name in (*(each for each in list(properties) if each not in {"data", *inherited}), *inherited):
            properties[name] = properties.pop(name)
        return schema


class ListParameters(FileParameters):
    """The items: a list, or a file with rows."""

    data: list[pydantic.JsonValue] | None = Field(default=None, description="The items.")

    @model_validator(mode="after")
    def _check_source(self) -> "ListParameters":
        require_one(self, "data", "file")
        return self

    def list_items(self) -> list[JsonValue]:
        """The items of a list that was given as a value."""
        return self.data or []


class ValueParameters(FileParameters):
    """One object, a list of objects, or a file with rows."""

    data: dict[str, pydantic.JsonValue] | list[pydantic.JsonValue] | None = Field(
        default=None, description="One object, or a list of objects."
    )

    @model_validator(mode="after")
    def _check_source(self) -> "ValueParameters":
        require_one(self, "data", "file")
        return self


ParametersT = TypeVar("ParametersT", bound=FileParameters)
ValueT = TypeVar("ValueT", bound=ValueParameters)


def read_items(parameters: FileParameters, context: OperationContext) -> Iterator[JsonValue]:
    """The rows of the file that was given, one after another.

    Raises:
        FatalError: a code of `ROW_ERRORS`.
    """
    return read_rows(context, parameters.file or {}, parameters.from_format, RowOptions(parameters.csv, parameters.xlsx))


def write_items(
    parameters: FileParameters, context: OperationContext, items: Iterable[JsonValue], *, suffix: str = ""
) -> JsonObject:
    """A new file with the items, in the format asked for, named after the file that was read.

    Raises:
        FatalError: a code of `ROW_ERRORS`, and whatever `items` raises; there is then no new file.
    """
    read = find_stored(parameters.file or {})
    name = rename(read.name, parameters.to_format)
    stem, _, ending = name.rpartition(".")
    written = write_rows(
        context, items, parameters.to_format, name=f"{stem}{suffix}.{ending}", options=_make_write_options(parameters)
    )
    return written.to_json()


def _make_write_options(parameters: FileParameters) -> RowOptions:
    """Names of columns and the header line belong to the file that is read, if it is of that format."""
    source = parameters.from_format or guess_row_format(parameters.file or {})
    own: dict[str, object] = {"columns": None, "header": True}
    csv = parameters.csv.model_copy(update=own) if source == "csv" else parameters.csv
    xlsx = parameters.xlsx.model_copy(update=own) if source == "xlsx" else parameters.xlsx
    return RowOptions(csv, xlsx)


def run_on_file(
    parameters: ParametersT,
    context: OperationContext,
    change: Callable[[ParametersT, Iterable[JsonValue]], Iterable[JsonValue]],
) -> JsonObject:
    """The file form of an operation that makes a list out of a list. Raises as `read_items` and `write_items`."""
    return write_items(parameters, context, change(parameters, read_items(parameters, context)))


def change_value(parameters: ValueT, change: Callable[[ValueT, Iterable[JsonValue]], Iterable[JsonValue]]) -> JsonValue:
    """The value form of an operation on one object or on each of a list."""
    data = parameters.data
    if isinstance(data, list):
        return [*change(parameters, data)]
    return next(iter(change(parameters, [data])))


def list_errors(*errors: ErrorCode) -> tuple[ErrorCode, ...]:
    """These codes and those of reading and writing files, each once."""
    own = {error.code for error in errors}
    return (*errors, *(error for error in ROW_ERRORS if error.code not in own))
