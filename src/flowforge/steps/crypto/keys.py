"""Keys of a shared secret, as parameters give them."""

from typing import Annotated, Literal

from pydantic import Field

from flowforge.operations import MAY_SECRET, StrictModel
from flowforge.steps.encoded import read_bytes

KeyEncoding = Literal["text", "hex", "base64", "base64url"]


class KeyedParameters(StrictModel):
    """A shared key."""

    key: Annotated[str, MAY_SECRET] = Field(description="The key, best a secret.", min_length=1)
    key_encoding: KeyEncoding = Field(default="text", description="Whether the key is text (UTF-8) or bytes in this encoding.")

    def read_key(self) -> bytes:
        """Raises FatalError (`encoding_invalid`)."""
        return read_bytes(self.key, self.key_encoding, "key")
