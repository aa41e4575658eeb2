"""`crypto.decode`."""

from pydantic import Field

from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.encoded import AnyEncoding, read_bytes


class DecodeParameters(StrictModel):
    """An encoded text."""

    data: str = Field(description="The encoded text; white space in it is fine, padding may be left out.")
    encoding: AnyEncoding = Field(default="base64", description="The encoding that it is written in.")


class DecodeResult(StrictModel):
    """The text."""

    decoded: str = Field(description="The text.")


@operation(
    "crypto.decode",
    title="Decode",
    category="crypto",
    icon="binary",
    nature=Nature.PURE,
    errors=(ErrorCode("encoding_invalid", "The data is not written in that encoding, or its bytes are no UTF-8 text."),),
    examples=(Example("Base64", {"data": "aGVsbG8="}, {"decoded": "hello"}),),
)
def decode(parameters: DecodeParameters) -> DecodeResult:
    """Reads a text that is written in base64, base64url, base32 or hexadecimal (RFC 4648)."""
    data = read_bytes(parameters.data, parameters.encoding, "data")
    try:
        return DecodeResult(decoded=data.decode())
    except UnicodeDecodeError as error:
        message = f"data: byte {error.start} of what it stands for fits in no UTF-8 text; it is no text but binary."
        raise FatalError(message, code="encoding_invalid") from error
