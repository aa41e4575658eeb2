"""Rows that wait in a temporary file until all their columns are known."""

import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import orjson

from flowforge.kit.values import JsonValue
from flowforge.operations import RetryableError


@dataclass(frozen=True, slots=True)
class SpooledRows:
    """Rows, and the fields of all that are objects, in the order in which they first appear."""

    columns: list[str]
    file: BinaryIO

    def iterate(self) -> Iterator[JsonValue]:
        """The rows, as often as it is called, but one time after the other."""
        self.file.seek(0)
        for line in self.file:
            yield orjson.loads(line)


@contextmanager
def spool_rows(rows: Iterable[JsonValue]) -> Generator[SpooledRows]:
    """Takes all rows at once, and forgets them behind the block.

    Raises:
        RetryableError: `storage_full`: there is no room for the temporary file.
    """
    columns: dict[str, None] = {}
    with tempfile.TemporaryFile(buffering=2**18) as file:
        for row in rows:
            if isinstance(row, dict) and not columns.keys() >= row.keys():
                columns.update(dict.fromkeys(row))
            _write_line(cast("BinaryIO", file), orjson.dumps(row, None, orjson.OPT_APPEND_NEWLINE))
        yield SpooledRows(list(columns), cast("BinaryIO", file))


def _write_line(file: BinaryIO, line: bytes) -> None:
    try:
        file.write(line)
    except OSError as fault:
        raise RetryableError(f"There is no room for the rows while they are sorted out: {fault}.", code="storage_full") from fault
