"""The formats of data, and how they are told apart."""

from typing import Final, Literal, cast, get_args

from flowforge.kit.objects import FileValue
from flowforge.operations import ErrorCode, FatalError

FileFormat = Literal["json", "ndjson", "yaml", "csv", "xml", "xlsx"]
RowFormat = Literal["json", "ndjson", "csv", "xlsx"]
"""The formats that hold a list of rows, which can be read and written row by row."""

WHOLE_MAX_BYTES: Final = 25 * 2**20
"""The largest file that is read as one value; rows are read one by one, whatever the size of the file."""
FORMAT_UNKNOWN: Final = ErrorCode("format_unknown", "Neither the file's name nor its media type tells its format; set `from`.")

MEDIA_TYPES: Final[dict[FileFormat, str]] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "yaml": "application/yaml",
    "csv": "text/csv",
    "xml": "application/xml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_ENDINGS: Final[dict[str, FileFormat]] = {
    "json": "json",
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "yaml": "yaml",
    "yml": "yaml",
    "csv": "csv",
    "xml": "xml",
    "xlsx": "xlsx",
    "xlsm": "xlsx",
}
_BY_MEDIA_TYPE: Final[dict[str, FileFormat]] = {
    **{media_type: name for name, media_type in MEDIA_TYPES.items()},
    "application/jsonl": "ndjson",
    "application/ndjson": "ndjson",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "text/xml": "xml",
}


def guess_format(file: FileValue, field: str = "file") -> FileFormat:
    """The format that the ending of the file's name tells, or else its media type.

    Raises:
        FatalError: `format_unknown`, which names the field.
    """
    ending = file.name.rpartition(".")[2].lower() if "." in file.name else ""
    found = _ENDINGS.get(ending) or _BY_MEDIA_TYPE.get(file.media_type) or _find_suffix(file.media_type)
    if found is None:
        raise FatalError(
            f"{field}: neither the name {file.name!r} nor the media type {file.media_type} tells a format of data; set `from`.",
            code=FORMAT_UNKNOWN.code,
        )
    return found


def _find_suffix(media_type: str) -> FileFormat | None:
    """The format of types such as `application/geo+json`."""
    suffix = media_type.rpartition("+")[2]
    return cast("FileFormat", suffix) if "+" in media_type and suffix in get_args(FileFormat) else None


def rename(name: str, to_format: FileFormat) -> str:
    """The file's name with the ending of another format."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem if dot and ending.lower() in _ENDINGS else name}.{to_format}"
