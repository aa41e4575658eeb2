"""Opens a bucket by the guarded way out, and says in a step's words what can go wrong there."""

import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from flowforge.kit.egress import EgressError, EgressFault
from flowforge.kit.egress.tunnel import EgressTunnel, Passage
from flowforge.operations import ErrorCode, FatalError, OperationContext, RetryableError
from flowforge.steps.object.places import StoreParameters, read_store
from flowforge.steps.outbound import ADDRESS_ERRORS, explain_egress, is_passing

if TYPE_CHECKING:
    from obstore.store import S3Store

    from flowforge.kit.egress.urls import Target

RETRIES: Final = 1
"""Within a call; more attempts are the step's to make."""
_RETRY_WITHIN: Final = timedelta(seconds=30)
_CALL_MAX: Final = timedelta(hours=24)
"""Of a whole body; the step's own time ends it, and `read_timeout` a connection on which nothing moves."""

BUCKET_ERRORS: Final = (
    *ADDRESS_ERRORS,
    ErrorCode("tls", "The store's certificate is not trusted."),
    ErrorCode("scheme", "The endpoint is neither http nor https."),
    ErrorCode("header_invalid", "The endpoint, a header or a piece of metadata holds a control character."),
    ErrorCode("store_invalid", "The store's URL cannot be read."),
    ErrorCode("object_denied", "The store refused the keys, or they do not allow this."),
    ErrorCode("bucket_missing", "There is no such bucket."),
    ErrorCode("object_failed", "The store failed, or asked to come more slowly.", retryable=True),
)
OBJECT_MISSING: Final = ErrorCode("object_missing", "There is no object of that key.")
OBJECT_EXISTS: Final = ErrorCode("object_exists", "There is an object of that key already, and the mode is `create`.")

_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_SAID: Final = re.compile(r"<Message>([^<]{1,300})</Message>")
_STATUS: Final = re.compile(r"status code: (\d{3})")
_TIMED_OUT: Final = re.compile(r"kind: Timeout|TimedOut|timed out")
_TLS: Final = re.compile(r"InvalidCertificate|certificate|HandshakeFailure|AlertReceived|InvalidMessage")


@asynccontextmanager
async def open_bucket(context: OperationContext, given: StoreParameters | str, **config: Any) -> "AsyncGenerator[S3Store]":
    """The bucket, whose connections are judged and led by the tunnel; what is raised in the block is put into a step's words.

    Raises:
        FatalError, RetryableError: see BUCKET_ERRORS, OBJECT_MISSING and OBJECT_EXISTS.
    """
    store = read_store(given)
    target = find_endpoint(store)
    limits = context.limits
    async with context.service(EgressTunnel).open_passage(target.host, target.port) as passage:
        with _explain(store, passage):
            yield make_bucket(
                store,
                target,
                client_options={
                    "allow_http": target.scheme == "http",
                    "proxy_url": passage.proxy_url,
                    "proxy_excludes": "",
                    "connect_timeout": timedelta(milliseconds=limits.http_connect_ms),
                    "read_timeout": timedelta(milliseconds=limits.http_total_ms),
                    "timeout": _CALL_MAX,
                },
                **config,
            )


def find_endpoint(store: StoreParameters) -> "Target":
    """Where the bucket is called.

    Raises:
        FatalError: the endpoint is no URL that may be called.
    """
    # Start-up cost: the parser's library takes 70 ms to import.
    from flowforge.kit.egress.urls import parse_target

    written = store.endpoint or f"https://s3.{store.region}.amazonaws.com"
    try:
        target = parse_target(written)
        if "?" in written or "#" in written:
            raise EgressError(EgressFault.URL_INVALID, "The endpoint cannot be called: it has a query.")
        if is_path_style(store) or target.address is not None:
            return target
        return parse_target(f"{target.scheme}://{store.bucket}.{target.authority}{target.path.decode('ascii')}")
    except EgressError as error:
        raise explain_egress(error) from error


def is_path_style(store: StoreParameters) -> bool:
    """A dot in the bucket's name would be one in the host's, for which no certificate is."""
    return store.path_style if store.path_style is not None else store.endpoint is not None or "." in store.bucket


def make_bucket(store: StoreParameters, target: "Target", **config: Any) -> "S3Store":
    """The library's client. All that it would else take from the process's environment (AWS_…) is given."""
    # Start-up cost: the library takes 30 ms to import.
    from obstore.store import S3Store

    def give_keys() -> Any:
        return {
            "access_key_id": store.access_key,
            "secret_access_key": store.secret_key,
            "token": store.session_token,
            "expires_at": None,
        }

    endpoint = target.url.rstrip("/")
    return S3Store(
        store.bucket,
        endpoint=endpoint,
        aws_endpoint_url_s3=endpoint,
        region=store.region,
        virtual_hosted_style_request=not is_path_style(store) and target.address is None,
        skip_signature=store.access_key is None,
        credential_provider=give_keys if store.access_key is not None else None,
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": _RETRY_WITHIN,
            "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=2), "base": 2},
        },
        **config,
    )


@contextmanager
def _explain(store: StoreParameters, passage: Passage) -> Generator[None]:
    # Start-up cost: as in `make_bucket`.
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    try:
        yield
    except (AlreadyExistsError, PreconditionError) as error:
        raise RetryableError(
            f"There is an object of that key in {store.bucket} already; choose another key, or use the mode `replace`.",
            code="object_exists",
            by_default=False,
        ) from error
    except (BaseError, FileNotFoundError, ValueError) as error:
        if passage.fault is not None:
            raise explain_egress(passage.fault) from error
        raise _describe(store, str(error)) from error


def _describe(store: StoreParameters, text: str) -> FatalError | RetryableError:
    code, said, status = _CODE.search(text), _SAID.search(text), _STATUS.search(text)
    number = int(status[1]) if status else 0
    answer = f"the store answered {number}" + (f" {code[1]}" if code else "") + (f" ({said[1].rstrip('.')})" if said else "")
    if code is not None and code[1] == "NoSuchBucket":
        return FatalError(f"There is no bucket {store.bucket}; make it, or mend the name or the region.", code="bucket_missing")
    if number == 404:
        return RetryableError(f"There is no such object in {store.bucket}.", code="object_missing", by_default=False)
    if number in {401, 403}:
        return FatalError(f"{store.bucket}: {answer}; look at the keys and at what they allow.", code="object_denied")
    if number == 416:
        return FatalError(f"{store.bucket}: the object has no bytes in that range; ask for others.", code="range_invalid")
    if number:
        return RetryableError(f"{store.bucket}: {answer}.", code="object_failed", by_default=is_passing(number))
    if _TIMED_OUT.search(text):
        return RetryableError(f"The store of {store.bucket} did not answer in time.", code="http_timeout")
    if _TLS.search(text):
        return RetryableError(f"No trusted connection to the store of {store.bucket}.", code="tls", by_default=False)
    return RetryableError(
        f"The store of {store.bucket} could not be reached, or broke off: {text.partition('Debug source')[0].strip()[:300]}.",
        code="connection_failed",
    )
