"""Requests to services of which the URL itself is a secret: it stands in no error, and nothing else that is secret does."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from flowforge.kit.border import JsonRefusedError, decode_untrusted, encode
from flowforge.kit.egress import BodySource, EgressClient, EgressError, EgressRequest, EgressResponse
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, OperationContext, RetryableError
from flowforge.steps.http.answers import ANSWER_LIMITS, make_excerpt
from flowforge.steps.http.receiving import read_all
from flowforge.steps.outbound import OUTBOUND_ERRORS, explain_egress, is_passing

POST_ERRORS: Final = (
    ErrorCode("http_<status>", "The service answered with this status; retried for 408, 425, 429 and 5xx.", retryable=True),
    *OUTBOUND_ERRORS,
)
TOO_LONG: Final = ErrorCode("message_too_long", "The message is longer than the service takes.")


def find_service_host(url: object) -> str:
    """The host of a service's URL, for the effects ledger and for secrets that are bound to hosts. Raises ValueError."""
    # Start-up cost: the parser's library takes 70 ms to import. Another parser might see another host, and hand it a bound secret.
    from flowforge.kit.egress.urls import parse_target

    try:
        return parse_target(str(url)).host
    except EgressError as error:
        raise ValueError(error.message) from error


def find_server_host(parameters: Mapping[str, Any], default: str) -> str:
    """The same, for a URL in the parameter `server`."""
    return find_service_host(parameters.get("server", default))


def hide(context: OperationContext, *texts: str) -> None:
    """Has the texts masked in outputs, errors and logs of this attempt, as its secrets are."""
    for text in texts:
        context.masker.add(text)


def hide_url(context: OperationContext, url: str) -> None:
    """The same for a URL that is a secret, and for its path alone: servers say to which one they found nothing."""
    parts = urlsplit(url)
    hide(context, url, f"{parts.path}?{parts.query}" if parts.query else parts.path, parts.path)


async def post(
    context: OperationContext, url: str, body: bytes | BodySource, media_type: str, headers: Mapping[str, str] | None = None
) -> EgressResponse:
    """The service's answer, whatever its status. A redirect is not followed: a message's body and headers belong to one host.

    Raises:
        FatalError, RetryableError: with a code of OUTBOUND_ERRORS.
    """
    sent = {"Content-Type": media_type, "Idempotency-Key": context.idempotency_key, **(headers or {})}
    request = EgressRequest("POST", url, tuple(sent.items()), body, context.depth, follows_redirects=False)
    client = context.service(EgressClient)
    try:
        if isinstance(body, bytes):
            return await client.send(request)
        async with client.stream(request, max_bytes=context.limits.http_body_bytes) as stream:
            return await read_all(stream, context.limits)
    except EgressError as error:
        raise explain_egress(error) from error


async def post_json(
    context: OperationContext, url: str, body: JsonValue, headers: Mapping[str, str] | None = None
) -> EgressResponse:
    """The same, with a JSON body."""
    return await post(context, url, encode(body), "application/json; charset=utf-8", headers)


def read_reply(response: EgressResponse) -> JsonObject:
    """The JSON object in an answer; an empty one where there is none."""
    try:
        reply = decode_untrusted(response.body, ANSWER_LIMITS)
    except JsonRefusedError:
        return {}
    return reply if isinstance(reply, dict) else {}


def refuse_answer(service: str, response: EgressResponse, context: OperationContext) -> RetryableError:
    """The error `http_<status>`, without the URL."""
    status = response.status
    return RetryableError(
        f"{service} answered with the status {status}.",
        code=f"http_{status}",
        details={"status": status, "body": make_excerpt(response, context)},
        after_ms=response.retry_after_ms,
        by_default=is_passing(status),
    )
