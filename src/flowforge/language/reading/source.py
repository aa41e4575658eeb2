"""From bytes to text that may be read: one encoding, a bounded size, no control characters."""

import re
from collections.abc import Callable
from typing import Final

from flowforge.kit.limits import Limits
from flowforge.language.faults import Sink
from flowforge.language.positions import Place, Positions

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")
_LOOKS_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00")
_CONTROL_FAULTS_MAX: Final = 20


def read_text(source: bytes | str, limits: Limits, sink: Sink) -> str | None:
    """The text of the source, or None where it cannot be read at all; the sink then holds the reason."""
    size_bytes = len(source) if isinstance(source, bytes) else _count_bytes(source)
    if size_bytes > limits.def_max_bytes:
        message = (
            f"The document has {size_bytes} bytes; at most {limits.def_max_bytes} are allowed. Split it into several workflows."
        )
        sink.put("def_max", (), message, place=Place(1, 1))
        return None
    text = _decode(source, sink) if isinstance(source, bytes) else source
    if text is None or _refuse_mark(text, sink) or refuse_control_characters(text, sink, Positions(text).place):
        return None
    return text


def _count_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _decode(source: bytes, sink: Sink) -> str | None:
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError as error:
        before = source[: error.start].decode("utf-8")
        message = "The document is not UTF-8; save it as UTF-8 without a byte order mark."
        sink.put("encoding", (), message, place=Positions(before).place(len(before)))
        return None
    if source.startswith(_LOOKS_UTF_16) or source[1:2] == b"\x00":
        sink.put("encoding", (), "The document looks like UTF-16 or UTF-32; save it as UTF-8.", place=Place(1, 1))
        return None
    return text


def _refuse_mark(text: str, sink: Sink) -> bool:
    if not text.startswith("\ufeff"):
        return False
    message = "The document begins with a byte order mark; save it as UTF-8 without one."
    sink.put("encoding", (), message, place=Place(1, 1))
    return True


def refuse_control_characters(text: str, sink: Sink, place: Callable[[int], Place]) -> bool:
    """Whether the text holds characters that no document may hold; each is told, up to a bound."""
    found = False
    for count, match in enumerate(_CONTROL.finditer(text)):
        found = True
        if count == _CONTROL_FAULTS_MAX:
            break
        message = f"There is the control character U+{ord(match[0]):04X} here; remove it."
        sink.put("control_char", (), message, place=place(match.start()))
    return found


def has_control_character(text: str) -> bool:
    return not text.isprintable() and _CONTROL.search(text) is not None
