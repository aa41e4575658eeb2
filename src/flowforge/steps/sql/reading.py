"""Rows into the output, or piece by piece into a file."""

import asyncio
import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Final, Literal

from flowforge.kit.border import encode
from flowforge.kit.errors import StorageError
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, FatalError, OperationContext
from flowforge.steps.sql.session import Rows, run_in_thread
from flowforge.steps.stored import create_stored, explain_storage

FileFormat = Literal["ndjson", "csv"]

READING_ERRORS: Final = (
    ErrorCode("too_many_rows", "There are more rows than `limit`."),
    ErrorCode("result_too_large", "The rows are larger than a step's output may be (LIMIT_STEP_OUT_MAX)."),
)
_MEDIA_TYPES: Final = {"ndjson": "application/x-ndjson", "csv": "text/csv"}
_PIECE_MAX_ROWS: Final = 5_000
_PIECE_BYTES: Final = 2**20


class PieceSize:
    """How many rows to ask for next, so that a piece is about 1 MiB, whatever the rows are like."""

    def __init__(self) -> None:
        self.count = 50

    def learn(self, rows: int, size_bytes: int) -> None:
        if rows:
            per_row_bytes = max(size_bytes // rows, 1)
            self.count = min(max(_PIECE_BYTES // per_row_bytes, 1), self.count * 4, _PIECE_MAX_ROWS)


async def collect(rows: Rows, context: OperationContext, *, limit: int) -> list[JsonObject]:
    """All rows as objects by column name.

    Raises:
        FatalError: `too_many_rows`, `result_too_large`, `value_unsupported`.
    """
    names = [column.name for column in rows.columns]
    found: list[JsonObject] = []
    max_bytes = context.limits.step_out_max_bytes
    size_bytes = 0
    piece_size = PieceSize()
    while piece := await rows.read(min(piece_size.count, limit + 1 - len(found))):
        if len(found) + len(piece) > limit:
            raise FatalError(
                f"There are more than {limit} rows; select fewer, raise `limit`, or stream them to a file with `to`.",
                code="too_many_rows",
            )
        objects = [dict(zip(names, row, strict=True)) for row in piece]
        piece_bytes = len(_encode_rows(objects))
        size_bytes += piece_bytes
        if size_bytes > max_bytes:
            raise FatalError(
                f"The rows are larger than {format_size(max_bytes)}; select less, or stream them to a file with `to`.",
                code="result_too_large",
            )
        piece_size.learn(len(piece), piece_bytes)
        found.extend(objects)
    return found


async def write_file(rows: Rows, file_format: FileFormat, context: OperationContext) -> tuple[JsonObject, int]:
    """A file value with all rows, and their number. One piece of about 1 MiB is in memory at a time.

    NDJSON: an object on each line. CSV (RFC 4180): a line of names first, UTF-8; null is empty, objects and lists are JSON.

    Raises:
        FatalError: `value_unsupported`. RetryableError: `storage_full`, `file_failed`.
    """
    names = [column.name for column in rows.columns]
    make_lines: Callable[[list[list[JsonValue]]], bytes] = _make_csv if file_format == "csv" else _make_ndjson(names)
    count = 0
    piece_size = PieceSize()
    try:
        with create_stored(context, name=f"rows.{file_format}", media_type=_MEDIA_TYPES[file_format]) as writer:
            if file_format == "csv":
                await run_in_thread(lambda: writer.write(_make_csv([list(names)])))
            while piece := await rows.read(piece_size.count):
                lines = await asyncio.to_thread(make_lines, piece)
                await run_in_thread(lambda data=lines: writer.write(data))
                piece_size.learn(len(piece), len(lines))
                count += len(piece)
            stored = await run_in_thread(writer.commit)
    except StorageError as error:
        raise explain_storage(error) from error
    return stored.to_json(), count


def _encode_rows(objects: Sequence[JsonObject]) -> bytes:
    return b"\n".join(encode(row) for row in objects)


def _make_ndjson(names: list[str]) -> Callable[[list[list[JsonValue]]], bytes]:
    return lambda piece: b"".join(encode(dict(zip(names, row, strict=True))) + b"\n" for row in piece)


def _make_csv(piece: list[list[JsonValue]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([_show_cell(value) for value in row] for row in piece)
    return text.getvalue().encode()


def _show_cell(value: JsonValue) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
