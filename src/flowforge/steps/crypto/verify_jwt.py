"""`crypto.verify_jwt`."""

from typing import Annotated

import pydantic
from pydantic import Field

from flowforge.kit.units import parse_duration
from flowforge.operations import MAY_SECRET, ErrorCode, Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.crypto.jwt_models import JwtAlgorithm
from flowforge.steps.crypto.keys import KeyedParameters
from flowforge.steps.durations import bound_duration


class VerifyJwtParameters(KeyedParameters):
    """A token, the key that it should be signed with, and what it must say."""

    token: Annotated[str, MAY_SECRET] = Field(description="The token, in compact form.", max_length=65_536)
    algorithm: JwtAlgorithm = Field(
        default="HS256", description="The only algorithm that is accepted; for all but HS… the key is a public key in PEM."
    )
    issuer: str | None = Field(default=None, description="What the claim `iss` must be.")
    audience: str | None = Field(default=None, description="What the claim `aud` must be, or hold.")
    leeway: Annotated[str, bound_duration(0, 600_000)] = Field(
        default="0", description="How far the clocks may differ, such as `30s`."
    )


class VerifyJwtResult(StrictModel):
    """What a valid token says."""

    claims: dict[str, pydantic.JsonValue] = Field(description="The claims.")


@operation(
    "crypto.verify_jwt",
    title="Verify a JWT",
    category="crypto",
    icon="shield-check",
    nature=Nature.EFFECT,
    errors=(
        ErrorCode("encoding_invalid", "The key is not written in the encoding that is named for it."),
        ErrorCode("key_invalid", "The key cannot be used with the algorithm."),
        ErrorCode("token_invalid", "The text is no token that is signed with the algorithm."),
        ErrorCode("token_signature", "The signature is wrong."),
        ErrorCode("token_expired", "The token has expired."),
        ErrorCode("token_claims", "A claim is missing, or not as wanted; also a token that holds only later."),
    ),
    examples=(
        Example(
            "Check a token",
            {
                "token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJmbG93Zm9yZ2UifQ.S2Jtlgeh7A8i_EH_vnFQx4iZTiEOnIulyInId9rmFnc",
                "key": "a-shared-key-of-at-least-32-bytes!!",
                "issuer": "flowforge",
            },
            {"claims": {"iss": "flowforge"}},
        ),
    ),
)
async def verify_jwt(parameters: VerifyJwtParameters, context: OperationContext) -> VerifyJwtResult:
    """Checks a JSON Web Token (RFC 7519): its signature with the given key and algorithm, its times, issuer and audience.

    Keys and algorithms that the token itself names are not looked at.
    """
    # The library takes 60 ms to import.
    from flowforge.steps.crypto.tokens import check_token

    given = {"iss": parameters.issuer, "aud": parameters.audience}
    wanted = {name: value for name, value in given.items() if value is not None}
    now_s, leeway_s = context.now_ms() // 1_000, parse_duration(parameters.leeway) // 1_000
    key = parameters.read_key()
    return VerifyJwtResult(claims=check_token(parameters.token, key, parameters.algorithm, now_s, leeway_s, wanted))
