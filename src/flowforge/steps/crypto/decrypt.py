"""`crypto.decrypt`."""

from pydantic import Field

from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation
from flowforge.steps.crypto.ciphers import CIPHER_ERRORS, CipherParameters
from flowforge.steps.encoded import read_bytes, write_bytes


class DecryptParameters(CipherParameters):
    """What `crypto.encrypt` gave, and the key."""

    encrypted: str = Field(description="The ciphertext, in base64.")
    iv: str = Field(description="The initialization vector, in base64.")
    tag: str = Field(description="The authentication tag, in base64.")


class DecryptResult(StrictModel):
    """The plain data."""

    data: str = Field(description="The text, or bytes in base64, as `data_encoding` asks.")


@operation(
    "crypto.decrypt",
    title="Decrypt",
    category="crypto",
    icon="lock-open",
    nature=Nature.EFFECT,
    errors=(*CIPHER_ERRORS, ErrorCode("decryption_failed", "The data was changed, or the key is another one.")),
    examples=(
        Example(
            "Decrypt a text",
            {
                "encrypted": "ZtnZsto=",
                "iv": "AAAAAAAAAAAAAAAA",
                "tag": "DgxGefOoJST14EmSceFvMA==",
                "key": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            },
            {"data": "hello"},
        ),
    ),
)
async def decrypt(parameters: DecryptParameters, context: OperationContext) -> DecryptResult:
    """Decrypts what was encrypted with AES-256-GCM, and checks that nobody changed it."""
    del context
    parts = (read_bytes(getattr(parameters, field), "base64", field) for field in ("encrypted", "iv", "tag"))
    data = parameters.decrypt(*parts)
    if parameters.data_encoding == "base64":
        return DecryptResult(data=write_bytes(data, "base64"))
    try:
        return DecryptResult(data=data.decode())
    except UnicodeDecodeError as error:
        message = "The decrypted data is no UTF-8 text; ask for base64 with data_encoding."
        raise FatalError(message, code="encoding_invalid") from error
