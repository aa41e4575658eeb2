"""`crypto.generate_key`."""

from typing import Literal

from pydantic import Field

from flowforge.kit.chance import draw_bytes
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.encoded import Encoding, write_bytes


class KeyParameters(StrictModel):
    """Which kind of key."""

    kind: Literal["shared", "ed25519", "ec-p256", "rsa-3072"] = Field(
        default="shared", description="A shared key of random bytes, or a pair of a private and a public key."
    )
    length: int = Field(default=32, ge=16, le=1_024, description="The length of a shared key in bytes.")
    encoding: Encoding = Field(default="hex", description="How a shared key is written; pairs are PEM texts.")


class KeyResult(StrictModel):
    """A key, or a pair."""

    key: str = Field(description="The shared key, or the private key of a pair (PKCS#8, PEM).")
    public_key: str | None = Field(default=None, description="The public key of a pair (SubjectPublicKeyInfo, PEM).")


@operation(
    "crypto.generate_key",
    title="Generate a key",
    category="crypto",
    icon="key",
    nature=Nature.EFFECT,
    examples=(
        Example(
            "A key for crypto.encrypt",
            {},
            {"key": "8f3c51d1a9c24f0c4f7f5a0e6d1b1c0f9d2f6a7be3f2c1d0e4a5b6c7d8e9f0a1", "public_key": None},
            varies=True,
        ),
    ),
)
async def generate_key(parameters: KeyParameters, context: OperationContext) -> KeyResult:
    """Makes a random key, or a pair of keys. Like every result it is kept in the run's journal: use it where that may be."""
    del context
    if parameters.kind == "shared":
        return KeyResult(key=write_bytes(draw_bytes(parameters.length), parameters.encoding))
    # The library takes 20 ms to import.
    from flowforge.steps.crypto.key_pairs import make_key_pair

    private, public = make_key_pair(parameters.kind)
    return KeyResult(key=private, public_key=public)
