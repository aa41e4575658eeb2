"""CSV files of any size, to rows and back."""

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError
from flowforge.steps.data.csv_text import CsvOptions, format_csv, iterate_csv
from flowforge.steps.data.row_spool import spool_rows
from flowforge.steps.data.text_lines import iterate_lines


def read_csv_file(stream: BinaryIO, options: CsvOptions) -> Iterator[JsonValue]:
    """The rows.

    Raises:
        FatalError: `csv_invalid` or `encoding`, with the line.
    """
    return iterate_csv(iterate_lines(stream, options.encoding), options)


def write_csv_file(write: Callable[[bytes], object], rows: Iterable[JsonValue], options: CsvOptions) -> None:
    """Writes the rows as CSV, as `write_csv` does.

    Raises:
        FatalError: `csv_invalid`: a row is neither an object nor a list; `encoding`: a text has no form in the encoding.
    """
    if options.columns is not None:
        _write(write, format_csv(rows, options.columns, options), options)
        return
    with spool_rows(rows) as spooled:
        _write(write, format_csv(spooled.iterate(), spooled.columns, options), options)


def _write(write: Callable[[bytes], object], texts: Iterable[str], options: CsvOptions) -> None:
    encode = _Encoder(options).encode
    for text in texts:
        write(encode(text))


class _Encoder:
    """Turns lines into bytes; knows at which line it is."""

    def __init__(self, options: CsvOptions) -> None:
        self._encoding = "utf-8" if options.encoding == "utf-8-sig" else options.encoding
        self._mark = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}.get(options.encoding, b"")
        self._codec = "utf-16-le" if self._encoding == "utf-16" else self._encoding
        self._lines = 0

    def encode(self, text: str) -> bytes:
        try:
            data = text.encode(self._codec)
        except UnicodeEncodeError as fault:
            line = self._lines + text.count("\n", 0, fault.start) + 1
            raise FatalError(
                f"Line {line} of the CSV: the character {text[fault.start]!r} does not exist in {self._encoding}; write utf-8.",
                code="encoding",
                details={"line": line},
            ) from None
        self._lines += text.count("\n")
        mark, self._mark = self._mark, b""
        return mark + data
