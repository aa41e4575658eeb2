"""`object.presign`."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from flowforge.kit.units import parse_duration
from flowforge.language.times import format_timestamp_ms
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation
from flowforge.steps.durations import bound_duration
from flowforge.steps.object.access import BUCKET_ERRORS, find_endpoint, make_bucket
from flowforge.steps.object.places import ObjectParameters, name_object, read_store

EXPIRY_MAX_MS: Final = 7 * 86_400_000
"""What the signature's definition allows (AWS Signature Version 4, X-Amz-Expires)."""


class PresignParameters(ObjectParameters):
    """Which object, what may be done, and how long."""

    method: Literal["GET", "PUT"] = Field(default="GET", description="Whether the URL gets the object or puts one there.")
    expires_in: Annotated[str, bound_duration(1_000, EXPIRY_MAX_MS)] = Field(
        default="1h", description="How long the URL is good, such as `15m`; at most 7 days."
    )


class PresignResult(StrictModel):
    """A URL that does one thing without keys."""

    url: str = Field(description="The URL. Whoever has it can use it: hand it to the right one only, and do not log it.")
    method: str = Field(description="The method to use it with.")
    expires_at: str = Field(description="Until when it is good (RFC 3339, UTC).")


@operation(
    "object.presign",
    title="Make a URL for an object",
    category="object",
    icon="link",
    nature=Nature.EFFECT,
    errors=(
        *BUCKET_ERRORS,
        ErrorCode("url_masked", "The URL would hold what was given as a secret: the access key's id or the session token."),
        ErrorCode("keys_missing", "The store was given without keys, which a URL cannot be signed without."),
    ),
    target=name_object,
    examples=(
        Example(
            "A link to a report, good for a day",
            {
                "store": {
                    "bucket": "reports",
                    "region": "eu-central-1",
                    "access_key": "AKIDEXAMPLE",
                    "secret_key": "${{ secrets.S3_SECRET }}",
                },
                "key": "2026/01.txt",
                "expires_in": "1d",
            },
            {
                "url": "https://reports.s3.eu-central-1.amazonaws.com/2026/01.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&…",
                "method": "GET",
                "expires_at": "2026-01-03T03:04:05Z",
            },
            varies=True,
        ),
    ),
)
async def presign(parameters: PresignParameters, context: OperationContext) -> PresignResult:
    """Makes a URL with which someone without keys can get one object, or put one there, for a time. The store is not asked.

    The URL holds the access key's id, which is no secret: give it as plain text, or the URL could not be shown.
    """
    # Start-up cost: as in `make_bucket`.
    import obstore

    store = read_store(parameters.store)
    if store.access_key is None:
        raise FatalError("A URL is signed with keys; give the store access_key and secret_key.", code="keys_missing")
    bucket = make_bucket(store, find_endpoint(store), client_options={"allow_http": True})
    expires_in_ms = parse_duration(parameters.expires_in) // 1_000 * 1_000
    url = await obstore.sign_async(bucket, parameters.method, parameters.key, timedelta(milliseconds=expires_in_ms))
    if context.masker.mask(url) != url:
        raise FatalError(
            "The URL holds the access key's id or the session token, and that was given as a secret, which no output may hold; "
            "give the id as plain text, and no session token.",
            code="url_masked",
        )
    expires_at = format_timestamp_ms(context.now_ms() + expires_in_ms)
    return PresignResult(url=url, method=parameters.method, expires_at=expires_at)
