"""Input, algorithms and spelling that hash and hmac share."""

import binascii
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Literal

from pydantic import Field, model_validator

from flowforge.operations import FatalError, StrictModel

Algorithm = Literal["sha256", "sha384", "sha512", "sha3_256", "blake2b", "sha1", "md5"]
Encoding = Literal["hex", "base64", "base64url"]


class DigestParameters(StrictModel):
    """What is digested: exactly one of `text` and `base64`."""

    text: str | None = Field(default=None, description="The text to digest, in UTF-8.")
    base64: str | None = Field(default=None, description="The bytes to digest, in base64.")
    algorithm: Algorithm = Field(
        default="sha256", description="The algorithm; sha1 and md5 are broken and only there for old partners."
    )
    encoding: Encoding = Field(default="hex", description="How the digest is written.")

    @model_validator(mode="after")
    def _check_one_input(self) -> "DigestParameters":
        if (self.text is None) == (self.base64 is None):
            raise ValueError("give exactly one of text and base64")
        return self

    def read_input(self) -> bytes:
        """Raises FatalError (`base64_invalid`)."""
        return self.text.encode() if self.text is not None else decode_base64(self.base64 or "")


class DigestResult(StrictModel):
    """A digest and how it was made."""

    digest: str = Field(description="The digest, written as asked.")
    algorithm: Algorithm = Field(description="The algorithm.")


def write_digest(digest: bytes, encoding: Encoding) -> str:
    match encoding:
        case "hex":
            return digest.hex()
        case "base64":
            return b64encode(digest).decode()
        case "base64url":
            return urlsafe_b64encode(digest).decode().rstrip("=")


def decode_base64(text: str) -> bytes:
    """Raises FatalError (`base64_invalid`); white space in the text is fine."""
    try:
        return b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise FatalError("The text is no base64; check where it comes from.", code="base64_invalid") from error
