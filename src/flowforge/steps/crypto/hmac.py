"""`crypto.hmac`."""

import asyncio
import hmac

from pydantic import Field

from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.crypto.digests import DIGEST_ERRORS, DigestParameters
from flowforge.steps.crypto.keys import KeyedParameters
from flowforge.steps.encoded import read_bytes, write_bytes


class HmacParameters(DigestParameters, KeyedParameters):
    """What to sign, with which key, and how."""

    expected: str | None = Field(
        default=None,
        description="A signature that came with the data, written in `encoding`: the result says whether it is right.",
    )


class HmacResult(StrictModel):
    """The signature."""

    hmac: str = Field(description="The signature, written as asked.")
    is_valid: bool | None = Field(default=None, description="Whether `expected` is this signature; null where none was given.")


# An effect although it changes nothing outside: secrets are resolved for an attempt only, which a pure operation does not have; and an
# expression must not reach one.
@operation(
    "crypto.hmac",
    title="HMAC signature",
    category="crypto",
    icon="signature",
    nature=Nature.EFFECT,
    errors=DIGEST_ERRORS,
    examples=(
        Example(
            "Sign a message",
            {"data": "what do ya want for nothing?", "key": "Jefe"},
            {"hmac": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "is_valid": None},
        ),
    ),
)
async def sign(parameters: HmacParameters, context: OperationContext) -> HmacResult:
    """Signs a text, bytes or a file with a shared key (HMAC, RFC 2104), or checks such a signature in constant time."""
    key = parameters.read_key()

    def digest() -> bytes:
        made = hmac.new(key, digestmod=parameters.algorithm)
        for piece in parameters.read_pieces(context):
            made.update(piece)
        return made.digest()

    signature = await asyncio.to_thread(digest)
    is_valid = None
    if parameters.expected is not None:
        is_valid = hmac.compare_digest(signature, read_bytes(parameters.expected, parameters.encoding, "expected"))
    return HmacResult(hmac=write_bytes(signature, parameters.encoding), is_valid=is_valid)
