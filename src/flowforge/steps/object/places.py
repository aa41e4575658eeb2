"""Which bucket, and which objects in it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from flowforge.kit.values import JsonObject
from flowforge.operations import MAY_SECRET, FatalError, StrictModel

KEY_MAX_BYTES: Final = 1_024
_BUCKET: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$"
_REGION: Final = r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class StoreParameters(StrictModel):
    """A bucket, and how to sign in."""

    endpoint: str | None = Field(
        default=None, description="The URL of the store; without it that of Amazon S3 in the region.", min_length=1
    )
    region: str = Field(default="us-east-1", description="The region; most other stores take any.", pattern=_REGION)
    bucket: str = Field(description="The bucket.", pattern=_BUCKET)
    access_key: str | None = Field(default=None, description="The id of the access key; without keys nothing is signed.")
    secret_key: str | None = Field(default=None, description="The secret access key.")
    session_token: str | None = Field(default=None, description="The token that belongs to keys for a time.")
    path_style: bool | None = Field(
        default=None,
        description="Whether the bucket stands in the path or in the host; without it in the path wherever `endpoint` is given.",
    )

    @model_validator(mode="after")
    def _check_keys(self) -> "StoreParameters":
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("give both access_key and secret_key, or neither")
        return self


StoreInput = Annotated[StoreParameters | str, MAY_SECRET]
"""The bucket field by field, or as one URL, which fits into one secret."""

STORE_DESCRIPTION: Final = (
    "The bucket and how to sign in, field by field; or one URL: "
    "`s3://ACCESS:SECRET@host:port/bucket?region=…` (`s3+http://` without TLS; without a host, Amazon S3)."
)

EXAMPLE_STORE: Final[JsonObject] = {
    "endpoint": "https://s3.example.com",
    "bucket": "reports",
    "access_key": "AKIDEXAMPLE",
    "secret_key": "${{ secrets.S3_SECRET }}",
}
"""For the examples of the operations."""


def _check_key(key: str) -> str:
    parts = key.split("/")
    if any(part in {"", ".", ".."} for part in parts) or _CONTROL.search(key):
        raise ValueError("a key is names joined by /, without empty ones, `.`, `..` and control characters")
    if len(key.encode(errors="surrogatepass")) > KEY_MAX_BYTES:
        raise ValueError(f"a key has at most {KEY_MAX_BYTES} bytes")
    return key


Key = Annotated[str, AfterValidator(_check_key)]


class BucketParameters(StrictModel):
    """Which bucket."""

    store: StoreInput = Field(description=STORE_DESCRIPTION)


class ObjectParameters(BucketParameters):
    """Which object."""

    key: Key = Field(description="The key of the object, such as `reports/2026/01.csv`.")


def read_store(store: StoreParameters | str) -> StoreParameters:
    """The bucket, also where it was given as a URL.

    Raises:
        FatalError: `store_invalid`; the message does not hold the URL, for the password's sake.
    """
    if isinstance(store, StoreParameters):
        return store
    try:
        return _parse_url(store)
    except ValueError as error:
        # Pydantic's message would hold the input.
        reason = str(error) if type(error) is ValueError else "a part of it is not as it should be"
        raise FatalError(
            f"The store's URL cannot be read ({reason}); write s3://ACCESS:SECRET@host:port/bucket?region=….",
            code="store_invalid",
        ) from None


def _parse_url(url: str) -> StoreParameters:
    parts = urlsplit(url)
    scheme = {"s3": "https", "s3+https": "https", "s3+http": "http"}.get(parts.scheme)
    if scheme is None:
        raise ValueError("it begins with neither s3:// nor s3+http://")
    query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    unknown = set(query) - {"region", "session_token", "path_style"}
    if unknown:
        raise ValueError(f"it has an unknown parameter {min(unknown)[:40]!r}")
    given: dict[str, Any] = {name: values[-1] for name, values in query.items()}
    if "path_style" in given:
        given["path_style"] = (
            {"true": True, "false": False}[given["path_style"]] if given["path_style"] in {"true", "false"} else ""
        )
    user_info, _, host = parts.netloc.rpartition("@")
    access_key, _, secret_key = user_info.partition(":")
    if host:
        given["endpoint"] = f"{scheme}://{host}"
    return StoreParameters(
        bucket=parts.path.strip("/"),
        access_key=unquote(access_key) if user_info else None,
        secret_key=unquote(secret_key) if user_info else None,
        **given,
    )


def name_object(parameters: Mapping[str, Any]) -> str:
    """For the effects ledger: bucket and key."""
    store = parameters["store"]
    bucket = parameters["store"]["bucket"] if isinstance(store, dict) else read_store(str(store)).bucket
    return f"s3://{bucket}/{parameters.get('key') or parameters.get('prefix') or ''}"
