"""Bytes written as text, and read back: hexadecimal, base64, base64url and base32 (RFC 4648)."""

from base64 import b32decode, b32encode, b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import Literal

from flowforge.operations import FatalError

Encoding = Literal["hex", "base64", "base64url"]
AnyEncoding = Literal["hex", "base64", "base64url", "base32"]


def write_bytes(data: bytes, encoding: AnyEncoding) -> str:
    """The bytes as text: hexadecimal in lower case; base64 with padding (RFC 4648 4); base64url without (5); base32 with (6)."""
    match encoding:
        case "hex":
            return data.hex()
        case "base64":
            return b64encode(data).decode()
        case "base64url":
            return urlsafe_b64encode(data).decode().rstrip("=")
        case "base32":
            return b32encode(data).decode()


def read_bytes(text: str, encoding: str, field: str) -> bytes:
    """The bytes that a text stands for: `text` is UTF-8, others as `write_bytes`; white space in them is fine, padding may be left out.

    Raises:
        FatalError: `encoding_invalid`, which names the field.
    """
    try:
        return _read(text, encoding)
    except ValueError as error:
        wanted = "text that UTF-8 can write" if encoding == "text" else encoding
        raise FatalError(f"{field} is no {wanted}; check where it comes from.", code="encoding_invalid") from error


def decode_base64(text: str, field: str) -> bytes:
    """The bytes of a field that is base64 and nothing else. Raises FatalError (`base64_invalid`), which names the field."""
    try:
        return parse_base64(text)
    except ValueError as error:
        raise FatalError(f"{field}: this is no base64; check where it comes from.", code="base64_invalid") from error


def parse_base64(text: str) -> bytes:
    """White space in the text is fine, padding may be left out. Raises ValueError."""
    return b64decode(_pad("".join(text.split()).rstrip("="), 4), validate=True)


def _read(text: str, encoding: str) -> bytes:
    if encoding == "text":
        return text.encode()
    bare = "".join(text.split())
    unpadded = bare.rstrip("=")
    match encoding:
        case "hex":
            return bytes.fromhex(bare)
        case "base64":
            return parse_base64(text)
        case "base64url":
            if not set(unpadded).isdisjoint("+/"):
                raise ValueError("letters of plain base64")
            return urlsafe_b64decode(_pad(unpadded, 4).encode("ascii"))
        case _:
            return b32decode(_pad(unpadded.upper(), 8))


def _pad(text: str, size: int) -> str:
    return text + "=" * (-len(text) % size)
