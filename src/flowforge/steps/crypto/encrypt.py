"""`crypto.encrypt`."""

from pydantic import Field

from flowforge.kit.chance import draw_bytes
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.crypto.ciphers import CIPHER_ERRORS, IV_BYTES, CipherParameters
from flowforge.steps.encoded import write_bytes


class EncryptParameters(CipherParameters):
    """What to encrypt, and with which key."""

    data: str = Field(description="The text to encrypt, or bytes in base64 if `data_encoding` says so.")


class EncryptResult(StrictModel):
    """What the other side needs besides the key, all in base64."""

    encrypted: str = Field(description="The ciphertext.")
    iv: str = Field(description="The initialization vector, 12 random bytes.")
    tag: str = Field(description="The authentication tag, 16 bytes.")


@operation(
    "crypto.encrypt",
    title="Encrypt",
    category="crypto",
    icon="lock",
    nature=Nature.EFFECT,
    errors=CIPHER_ERRORS,
    examples=(
        Example(
            "Encrypt a text",
            {"data": "hello", "key": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
            {"encrypted": "Ru8bNjQ=", "iv": "q83vASNFZ4mrze8B", "tag": "2kPPuEw7iIBU6kEUFTLbQQ=="},
            varies=True,
        ),
    ),
)
async def encrypt(parameters: EncryptParameters, context: OperationContext) -> EncryptResult:
    """Encrypts a text or bytes with AES-256-GCM (NIST SP 800-38D) under a random initialization vector."""
    del context
    iv = draw_bytes(IV_BYTES)
    encrypted, tag = parameters.encrypt(parameters.read_data(parameters.data), iv)
    return EncryptResult(encrypted=write_bytes(encrypted, "base64"), iv=write_bytes(iv, "base64"), tag=write_bytes(tag, "base64"))
