"""Header fields: encoded words (RFC 2047) and parameters (RFC 2045, RFC 2231), read leniently and written strictly.

Every function here takes a time that is linear in its text, which the ones of the standard library do not promise.
"""

import binascii
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from flowforge.kit.mail.charsets import decode_text

LINE_CHARACTERS: Final = 76
VALUE_MAX_CHARACTERS: Final = 65_536
"""A field's value is cut here before it is read."""
_WORD: Final = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*)\?=")
_WORD_BYTES: Final = 39
"""Bytes of text in one encoded word: together with the field's name they stay on a line."""
_PLAIN_WORD_MAX_CHARACTERS: Final = 900
"""A line may have 998 characters (RFC 5322, 2.1.1)."""
_PARAMETER_PIECES: Final = re.compile(r';\s*([^\s=;"]{1,100})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))', re.DOTALL)
_CONTINUED: Final = re.compile(r"(.+?)(?:\*(\d{1,3}))?(\*)?")
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]")


def decode_words(value: str) -> str:
    """The text of an unstructured field, its encoded words read; white space between two of them is left out."""
    value = unfold(value)
    pieces: list[str] = []
    waiting: tuple[str, bytearray] | None = None
    end = 0
    for match in _WORD.finditer(value):
        between = value[end : match.start()]
        charset = match[1].partition("*")[0].lower()
        data = _decode_word(match[2], match[3])
        if waiting is not None and not between.strip() and waiting[0] == charset:
            waiting[1].extend(data)
        else:
            pieces.append(_finish(waiting))
            pieces.append("" if waiting is not None and not between.strip() else between)
            waiting = charset, bytearray(data)
        end = match.end()
    pieces.append(_finish(waiting))
    pieces.append(value[end:])
    return "".join(pieces)


def _finish(word: tuple[str, bytearray] | None) -> str:
    # Some senders cut a letter's bytes in two words; so the bytes of neighbours are joined before they are read.
    return "" if word is None else decode_text(bytes(word[1]), word[0])


def _decode_word(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", errors="replace")
    return decode_base64(raw) if encoding in "bB" else binascii.a2b_qp(raw, header=True)


def decode_base64(data: bytes) -> bytes:
    """The bytes; what is no letter of the alphabet is passed over, and an end that is cut off is left out. Never fails."""
    letters = _NOT_BASE64.sub(b"", data)
    whole = len(letters) - (1 if len(letters) % 4 == 1 else 0)
    return binascii.a2b_base64(letters[:whole] + b"=" * (-whole % 4))


def holds_control(text: str) -> bool:
    """Whether a line break, another control character or half of a surrogate pair is in the text: it could begin another field."""
    return any(char < " " or "\x7f" <= char <= "\x9f" or char in "\u2028\u2029" or "\ud800" <= char <= "\udfff" for char in text)


def unfold(value: str) -> str:
    """One line of at most VALUE_MAX_CHARACTERS, without control characters."""
    cut = value[:VALUE_MAX_CHARACTERS].replace("\r", "").replace("\n", "").replace("\t", " ")
    return "".join(char for char in cut if char >= " " and char != "\x7f").strip()


@dataclass(frozen=True, slots=True)
class Structured:
    """A field such as `text/plain; charset=utf-8`: its value in lower case, and its parameters by their name in lower case."""

    value: str
    parameters: dict[str, str] = field(default_factory=dict[str, str])


def read_structured(written: str) -> Structured:
    """The value and its parameters. RFC 2231 forms are joined and decoded, and so are encoded words, which many senders put there."""
    text = unfold(written)
    value = text.partition(";")[0].strip().lower()
    found: dict[str, list[tuple[int, bool, str]]] = {}
    for match in _PARAMETER_PIECES.finditer(text, len(text.partition(";")[0])):
        quoted, bare = match[2], match[3]
        content = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare.strip()
        continued = _CONTINUED.fullmatch(match[1])
        if continued is not None and len(found) < 100:
            name = continued[1].lower()
            found.setdefault(name, []).append((int(continued[2] or 0), continued[3] is not None, content))
    return Structured(value, {name: _join_pieces(pieces) for name, pieces in found.items()})


def _join_pieces(pieces: list[tuple[int, bool, str]]) -> str:
    """One parameter: `name`, `name*` (charset'language'percent-encoded), `name*0`, `name*1*`. The extended form wins over the plain one."""
    if all(number == 0 for number, _, _ in pieces):
        extended = [content for _, is_extended, content in pieces if is_extended]
        return _decode_extended(extended[0]) if extended else decode_words(pieces[0][2])
    ordered = sorted(pieces, key=lambda piece: piece[0])
    if not ordered[0][1]:
        return decode_words("".join(content for _, _, content in ordered))
    charset, _, rest = ordered[0][2].partition("'")
    first = rest.partition("'")[2]
    data = unquote_to_bytes(first) + b"".join(
        unquote_to_bytes(content) if is_extended else content.encode() for _, is_extended, content in ordered[1:]
    )
    return decode_text(data, charset)


def _decode_extended(content: str) -> str:
    charset, mark, rest = content.partition("'")
    if not mark:
        return content
    return decode_text(unquote_to_bytes(rest.partition("'")[2]), charset)


def encode_text(text: str) -> str:
    """The words of an unstructured field in ASCII: the text itself, or encoded words parted by spaces.

    A text that looks like an encoded word, or has a word that no line could hold, is encoded too.
    """
    is_plain = text.isascii() and text.isprintable() and "=?" not in text and "  " not in text and text == text.strip()
    if is_plain and all(len(word) <= _PLAIN_WORD_MAX_CHARACTERS for word in text.split(" ")):
        return text
    return " ".join(f"=?utf-8?b?{b64encode(piece.encode()).decode()}?=" for piece in _cut(text))


def _cut(text: str) -> list[str]:
    """Pieces of at most `_WORD_BYTES` bytes that part no letter."""
    pieces: list[str] = []
    current: list[str] = []
    size_bytes = 0
    for char in text:
        length = len(char.encode())
        if size_bytes + length > _WORD_BYTES:
            pieces.append("".join(current))
            current, size_bytes = [], 0
        current.append(char)
        size_bytes += length
    return [*pieces, "".join(current)]


def write_field(name: str, value: str) -> str:
    """The field with its lines folded at spaces, ended by CR LF. `value` is one line of encoded text."""
    lines: list[str] = []
    line = f"{name}:"
    for word in value.split(" "):
        if len(line) + 1 + len(word) > LINE_CHARACTERS and line.strip() and line != f"{name}:":
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line]) + "\r\n"
