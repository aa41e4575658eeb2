"""The parts of a message (RFC 5322, RFC 2046), read leniently and within bounds.

Written here because the parser of the standard library nests as deeply as a message asks it to, and looks at every line once for each
level. This one goes through the bytes once for each of at most DEPTH_MAX levels.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from flowforge.kit.mail.words import Structured, decode_base64, decode_words, read_structured

DEPTH_MAX: Final = 20
PARTS_MAX: Final = 1_000
FIELDS_MAX: Final = 1_000
"""Header fields of one part; those after them are passed over."""
_HEAD_MAX_BYTES: Final = 1024 * 1024
_FIELD: Final = re.compile(rb"([!-9;-~]{1,200})[ \t]*:(.*)", re.DOTALL)
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_LINE_END: Final = re.compile(rb"\r?\n(?![ \t])")
_BLANK: Final = re.compile(rb"\r?\n")


@dataclass
class Part:
    """A part as it stands in the message `source`, from `start` to `end`: its body still encoded, `fields` name and value as written.

    Parts hold no copies: a message that nests deeply takes no more memory than a flat one.
    """

    fields: list[tuple[str, str]]
    source: bytes = field(repr=False)
    start: int
    end: int
    children: list["Part"] = field(default_factory=list["Part"])

    def find(self, name: str) -> str | None:
        """The value of the first field of that name, in any case of letters."""
        lowered = name.lower()
        return next((value for known, value in self.fields if known.lower() == lowered), None)

    @cached_property
    def content_type(self) -> Structured:
        """`text/plain` where none is given, or nonsense."""
        found = read_structured(self.find("content-type") or "text/plain")
        return found if found.value.count("/") == 1 else Structured("text/plain", found.parameters)

    @cached_property
    def disposition(self) -> Structured:
        return read_structured(self.find("content-disposition") or "")

    @property
    def body(self) -> bytes:
        return self.source[self.start : self.end]

    @property
    def name(self) -> str | None:
        """The file name that the sender gave."""
        return self.disposition.parameters.get("filename") or self.content_type.parameters.get("name") or None

    def decode(self) -> bytes:
        """The body without its transfer encoding; one that is broken is decoded as far as it goes."""
        encoding = (self.find("content-transfer-encoding") or "").strip().lower()
        match encoding:
            case "base64":
                return decode_base64(self.body)
            case "quoted-printable":
                return binascii.a2b_qp(self.body)
            case "x-uuencode" | "uuencode" | "x-uue" | "uue":
                return b"".join(_decode_uu(self.body))
            case _:
                return self.body


@dataclass
class Budget:
    """How many parts may still be made of a message; at its end the rest of the message is left as it is."""

    parts: int = PARTS_MAX


def split_message(data: bytes, budget: Budget | None = None) -> Part:
    """The message as a tree of parts. Never fails: what cannot be split stays one part.

    A `message/rfc822` part is not opened, it is somebody's attachment.
    """
    return _split(data, (0, len(data)), budget or Budget(), 0)


def _split(source: bytes, span: tuple[int, int], budget: Budget, depth: int) -> Part:
    start, end = span
    head_end, body_start = _find_head(source, start, end)
    fields = list(_read_fields(source[start : min(head_end, start + _HEAD_MAX_BYTES)]))
    if not fields and body_start == end:
        body_start = start  # a text without any head
    part = Part(fields, source, body_start, end)
    boundary = part.content_type.parameters.get("boundary")
    if depth < DEPTH_MAX and part.content_type.value.startswith("multipart/") and boundary:
        for inner in _cut_body(part, boundary.encode("utf-8", "replace")):
            if budget.parts == 0:
                break
            budget.parts -= 1
            part.children.append(_split(source, inner, budget, depth + 1))
    return part


def _find_head(source: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the head ends, and where the body begins."""
    blank = _BLANK.match(source, start, end)
    if blank is not None:
        return start, blank.end()
    found = _END_OF_HEAD.search(source, start, end)
    return (end, end) if found is None else (found.start(), found.end())


def _read_fields(head: bytes) -> Iterator[tuple[str, str]]:
    for line in _LINE_END.split(head)[:FIELDS_MAX]:
        found = _FIELD.fullmatch(line)
        if found is not None:
            yield found[1].decode("ascii"), _decode_raw(found[2]).strip()


def _decode_raw(value: bytes) -> str:
    """Fields are ASCII; bytes above are UTF-8 (RFC 6532), or what an old program left there."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", errors="replace")


def _cut_body(part: Part, boundary: bytes) -> Iterator[tuple[int, int]]:
    """The spans between the lines `--boundary`; a message that ends without the last one is read to its end."""
    line = re.compile(rb"(?:\r?\n|(?<![^\n]))--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    start: int | None = None
    for match in line.finditer(part.source, part.start, part.end):
        if start is not None:
            yield start, match.start()
        if match[1]:
            return
        newline = _BLANK.match(part.source, match.end(), part.end)
        start = newline.end() if newline is not None else part.end
    if start is not None and start < part.end:
        yield start, part.end


def _decode_uu(body: bytes) -> Iterator[bytes]:
    for line in body.splitlines():
        if line[:6] == b"begin " or line.rstrip() in {b"end", b"`", b""}:
            continue
        try:
            yield binascii.a2b_uu(line)
        except binascii.Error:
            # Some encoders fill the last line with nonsense: as many bytes count as its first letter says.
            count_bytes = (((line[0] - 32) & 63) * 4 + 5) // 3
            yield _decode_uu_line(line[:count_bytes])


def _decode_uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        return b""


def read_field(part: Part, name: str) -> str | None:
    """The text of an unstructured field, decoded; None where it is missing."""
    value = part.find(name)
    return None if value is None else decode_words(value)
