"""What a command says: results on stdout, everything else on stderr; tables for people, JSON lines for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowforge.entrypoints.cli.columns import Column
from flowforge.kit.values import JsonObject, JsonValue


def is_stdout_terminal() -> bool:
    return sys.stdout.isatty()


def is_stderr_terminal() -> bool:
    return sys.stderr.isatty()


@dataclass(frozen=True, slots=True)
class Output:
    """`is_json`: programs read stdout. `is_quiet`: only results and errors."""

    is_json: bool
    is_quiet: bool

    def write_line(self, value: JsonValue) -> None:
        """One JSON line on stdout, written through at once, so that a reader at the other end of a pipe sees it."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
        sys.stdout.flush()

    def write_text(self, text: str) -> None:
        """Text that is the result itself (a document, a schema), as it is."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def write_bytes(self, data: bytes) -> None:
        """A document as it is, to the byte."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def write_rows(self, rows: Iterable[JsonObject], columns: Sequence[Column], *, empty: str = "") -> None:
        """A table, or a JSON line each. `empty` is said on a terminal where there are no rows."""
        if self.is_json:
            for row in rows:
                self.write_line(row)
            return
        listed = list(rows)
        if not listed:
            self.say(empty)
            return
        # rich takes 0.1 s to import: only where a person looks at the result.
        from flowforge.entrypoints.cli.tables import print_table

        print_table(listed, columns)

    def write_object(self, value: JsonObject, *, title: str = "") -> None:
        """One thing: its fields below each other, or one JSON line."""
        if self.is_json:
            self.write_line(value)
            return
        # As above.
        from flowforge.entrypoints.cli.tables import print_object

        print_object(value, title=title)

    def say(self, text: str) -> None:
        """Progress or a remark, for a person, on stderr."""
        if text and not self.is_quiet:
            sys.stderr.write(text + "\n")

    def confirm(self, text: str, value: JsonObject) -> None:
        """What a command that changes something has done: a sentence for a person, an object for a program."""
        if self.is_json:
            self.write_line(value)
        else:
            self.say(text)

    def write_error(self, lines: Sequence[str], value: JsonObject) -> None:
        if self.is_json:
            sys.stderr.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
            return
        mark = "\x1b[31merror:\x1b[0m" if is_stderr_terminal() else "error:"
        sys.stderr.write(f"{mark} {lines[0]}\n" + "".join(f"{line}\n" for line in lines[1:]))
