"""`crypto.sign_jwt`."""

from typing import Annotated

import pydantic
from pydantic import Field

from flowforge.kit.units import parse_duration
from flowforge.operations import ErrorCode, Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.crypto.jwt_models import JwtAlgorithm
from flowforge.steps.crypto.keys import KeyedParameters
from flowforge.steps.durations import bound_duration


class SignJwtParameters(KeyedParameters):
    """The claims, the key, and for how long the token holds."""

    claims: dict[str, pydantic.JsonValue] = Field(
        description="The claims (RFC 7519 4); `iat`, and `exp` from `expires_in`, are added."
    )
    algorithm: JwtAlgorithm = Field(
        default="HS256", description="The algorithm; for all but HS… the key is a private key in PEM."
    )
    expires_in: Annotated[str, bound_duration(1_000, 315_360_000_000)] = Field(
        default="1h", description="How long the token holds, such as `15m`; at most ten years."
    )
    key_id: str | None = Field(default=None, description="The `kid` of the header, which tells the other side which key it is.")


class SignJwtResult(StrictModel):
    """The token."""

    token: str = Field(description="The token, in compact form.")


@operation(
    "crypto.sign_jwt",
    title="Sign a JWT",
    category="crypto",
    icon="signature",
    nature=Nature.EFFECT,
    errors=(
        ErrorCode("encoding_invalid", "The key is not written in the encoding that is named for it."),
        ErrorCode("key_invalid", "The key cannot be used with the algorithm."),
    ),
    examples=(
        Example(
            "A token for an API",
            {"claims": {"iss": "flowforge", "sub": "orders"}, "key": "a-shared-key-of-at-least-32-bytes!!"},
            {"token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJmbG93Zm9yZ2UifQ.2Zr1"},
            varies=True,
        ),
    ),
)
async def sign_jwt(parameters: SignJwtParameters, context: OperationContext) -> SignJwtResult:
    """Makes a signed JSON Web Token (RFC 7519) of claims."""
    # The library takes 60 ms to import.
    from flowforge.steps.crypto.tokens import sign_claims

    now_s = context.now_ms() // 1_000
    claims = {"iat": now_s, "exp": now_s + parse_duration(parameters.expires_in) // 1_000, **parameters.claims}
    return SignJwtResult(token=sign_claims(claims, parameters.read_key(), parameters.algorithm, parameters.key_id))
