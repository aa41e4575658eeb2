"""`crypto.hmac`."""

from hmac import new as make_hmac
from typing import Annotated, Literal

from pydantic import Field

from flowforge.operations import MAY_SECRET, ErrorCode, Example, Nature, OperationContext, operation
from flowforge.steps.crypto.digests import DigestParameters, DigestResult, decode_base64, write_digest


class HmacParameters(DigestParameters):
    """What to sign, with which key, and how."""

    key: Annotated[str, MAY_SECRET] = Field(description="The key, best a secret.", min_length=1)
    key_encoding: Literal["text", "base64"] = Field(
        default="text", description="Whether the key is text (UTF-8) or bytes in base64."
    )


# An effect although it changes nothing outside: secrets are resolved for an attempt only, which a pure operation does not have; and an
# expression must not reach one.
@operation(
    "crypto.hmac",
    title="HMAC signature",
    category="crypto",
    icon="signature",
    nature=Nature.EFFECT,
    errors=(ErrorCode("base64_invalid", "The parameter `base64`, or the key, is no base64."),),
    examples=(
        Example(
            "Sign a message",
            {"text": "what do ya want for nothing?", "key": "Jefe"},
            {"digest": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "algorithm": "sha256"},
        ),
    ),
)
async def sign(parameters: HmacParameters, context: OperationContext) -> DigestResult:
    """Signs a text or bytes with a shared key (HMAC, RFC 2104), with SHA-256 unless another hash is asked for."""
    del context
    key = decode_base64(parameters.key) if parameters.key_encoding == "base64" else parameters.key.encode()
    digest = make_hmac(key, parameters.read_input(), parameters.algorithm).digest()
    return DigestResult(digest=write_digest(digest, parameters.encoding), algorithm=parameters.algorithm)
