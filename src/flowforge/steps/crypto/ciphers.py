"""The key, the bytes and the cipher that encrypt and decrypt share: AES-256-GCM (NIST SP 800-38D)."""

from typing import Annotated, Final, Literal

from pydantic import Field

from flowforge.operations import MAY_SECRET, ErrorCode, FatalError, StrictModel
from flowforge.steps.encoded import read_bytes

IV_BYTES: Final = 12
TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32

CIPHER_ERRORS: Final = (
    ErrorCode("encoding_invalid", "A text is not written in the encoding that is named for it."),
    ErrorCode("key_invalid", "The key is not 32 bytes long."),
)


class CipherParameters(StrictModel):
    """The key, and what the bytes are."""

    key: Annotated[str, MAY_SECRET] = Field(description="The key, 32 bytes, best a secret; `crypto.generate_key` makes one.")
    key_encoding: Literal["hex", "base64", "base64url"] = Field(default="hex", description="How the key is written.")
    algorithm: Literal["aes-256-gcm"] = Field(default="aes-256-gcm", description="The cipher.")
    data_encoding: Literal["text", "base64"] = Field(
        default="text", description="Whether the plain data is text or bytes in base64."
    )
    context_data: str = Field(
        default="", description="A text that is not encrypted but must be the same when decrypting, such as the record's id."
    )

    def encrypt(self, data: bytes, iv: bytes) -> tuple[bytes, bytes]:
        """The ciphertext and its tag. Raises FatalError (`key_invalid`, `encoding_invalid`)."""
        # The cipher's library takes 20 ms to import.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        sealed = AESGCM(self._read_key()).encrypt(iv, data, self.context_data.encode())
        return sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]

    def decrypt(self, encrypted: bytes, iv: bytes, tag: bytes) -> bytes:
        """The plain bytes. Raises FatalError (`key_invalid`, `encoding_invalid`, `decryption_failed`)."""
        # As above.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._read_key()
        if len(iv) != IV_BYTES or len(tag) != TAG_BYTES:
            raise FatalError(
                f"iv must be {IV_BYTES} bytes and tag {TAG_BYTES}; they are {len(iv)} and {len(tag)}.", code="encoding_invalid"
            )
        try:
            return AESGCM(key).decrypt(iv, encrypted + tag, self.context_data.encode())
        except InvalidTag as error:
            raise FatalError(
                "The data cannot be decrypted: it was changed, or key, iv, tag or context_data are those of other data.",
                code="decryption_failed",
            ) from error

    def read_data(self, data: str) -> bytes:
        """Raises FatalError (`encoding_invalid`)."""
        return read_bytes(data, self.data_encoding, "data")

    def _read_key(self) -> bytes:
        key = read_bytes(self.key, self.key_encoding, "key")
        if len(key) != _KEY_BYTES:
            raise FatalError(
                f"key is {len(key)} bytes long; {self.algorithm} needs {_KEY_BYTES}. crypto.generate_key makes one.",
                code="key_invalid",
            )
        return key
