"""Lines of a file of text, decoded piece by piece."""

import codecs
import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Literal

from flowforge.operations import FatalError

TextEncoding = Literal["utf-8", "utf-8-sig", "utf-16", "latin-1", "windows-1252"]

_BLOCK_BYTES: Final = 2**18
_LINE_MAX: Final = 10 * 2**20
"""In characters."""


def iterate_lines(stream: BinaryIO, encoding: TextEncoding) -> Iterator[str]:
    """The lines with their ends (LF, CR LF or CR) as they are; a byte order mark is left out.

    Raises:
        FatalError: `encoding`: bytes are no text in the encoding; `csv_invalid`: a line is longer than 10 Mi characters.
    """
    decode = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)().decode
    rest = ""
    lines_before = 0
    while block := stream.read(_BLOCK_BYTES):
        text = rest + _decode(decode, block, encoding, lines_before + rest.count("\n"))
        # A carriage return at the end may be half of a line end.
        cut = text.rfind("\n") + 1 or text.rfind("\r", 0, -1) + 1
        whole, rest = text[:cut], text[cut:]
        lines_before += whole.count("\n")
        yield from io.StringIO(whole, newline="")
        if len(rest) > _LINE_MAX:
            message = f"Line {lines_before + 1}: it is longer than 10 MiB; an end of line may be missing."
            raise FatalError(message, code="csv_invalid", details={"line": lines_before + 1, "column": None})
    rest += _decode(decode, b"", encoding, lines_before + rest.count("\n"), is_last=True)
    yield from io.StringIO(rest, newline="")


def _decode(decode: Callable[[bytes, bool], str], block: bytes, encoding: str, lines: int, *, is_last: bool = False) -> str:
    try:
        return decode(block, is_last)
    except UnicodeDecodeError as fault:
        line = lines + fault.object[: fault.start].decode(fault.encoding, "ignore").count("\n") + 1
        raise FatalError(
            f"Line {line}: {_show(fault)} is no {encoding}; set `encoding` to what the file is written in.",
            code="encoding",
            details={"line": line},
        ) from None


def _show(fault: UnicodeDecodeError) -> str:
    return " ".join(f"0x{byte:02x}" for byte in fault.object[fault.start : max(fault.end, fault.start + 1)][:4]) or "the end"
