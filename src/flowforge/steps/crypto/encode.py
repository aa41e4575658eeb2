"""`crypto.encode`."""

from pydantic import Field

from flowforge.operations import Example, Nature, StrictModel, operation
from flowforge.steps.encoded import AnyEncoding, write_bytes


class EncodeParameters(StrictModel):
    """A text, and how it is to be written."""

    data: str = Field(description="The text; its UTF-8 bytes are encoded.")
    encoding: AnyEncoding = Field(default="base64", description="The encoding.")


class EncodeResult(StrictModel):
    """The encoded text."""

    encoded: str = Field(description="The text, encoded.")


@operation(
    "crypto.encode",
    title="Encode",
    category="crypto",
    icon="binary",
    nature=Nature.PURE,
    examples=(Example("Base64", {"data": "hello"}, {"encoded": "aGVsbG8="}),),
)
def encode(parameters: EncodeParameters) -> EncodeResult:
    """Writes a text in base64, base64url, base32 or hexadecimal (RFC 4648)."""
    return EncodeResult(encoded=write_bytes(parameters.data.encode(), parameters.encoding))
