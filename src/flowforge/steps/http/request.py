"""`http.request`."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from flowforge.kit.border import JsonRefusedError, decode_untrusted, encode
from flowforge.kit.egress import EgressClient, EgressError, EgressFault, EgressRequest, EgressResponse
from flowforge.kit.limits import Limits
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, RetryableError, operation
from flowforge.steps.http.parameters import Auth, BodyFormat, Fields, RequestParameters, RequestResult, write_scalar

EXCERPT_BYTES: Final = 1_024
ERROR_BODY_BYTES: Final = 16 * 1_024
_JSON_LIMITS: Final = Limits(body_max_bytes=2**30)
"""The client has bounded the size already."""
_CHARSET: Final = re.compile(
    r"utf-?(8|16|32)(le|be)?|us-ascii|ascii|iso-8859-\d{1,2}|latin-?1|(windows-|cp)125\d|shift_jis|euc-(jp|kr)|gbk|gb2312|gb18030|big5|koi8-[ru]"
)
"""Python knows many more, some of which are no charsets or take a time that grows with the square of the text."""
RETRYABLE_STATUSES: Final = frozenset({408, 425, 429})

_NOT_BY_DEFAULT: Final = frozenset({EgressFault.TLS, EgressFault.RESPONSE_INVALID})

_ERRORS: Final = (
    ErrorCode(
        "http_<status>",
        "The server answered with this status, which is not expected; retried for 408, 425, 429 and 5xx.",
        retryable=True,
    ),
    ErrorCode("http_timeout", "No complete answer came in time.", retryable=True),
    ErrorCode("connection_failed", "The server was not found, not reached, or closed the connection too early.", retryable=True),
    ErrorCode("tls", "The server's certificate is not trusted, or no common encryption was found."),
    ErrorCode("egress_denied", "The host is, or leads to, an address that may not be called; EGRESS_ALLOW opens some."),
    ErrorCode("port_denied", "The port may not be called; EGRESS_ALLOW opens some."),
    ErrorCode("scheme", "The URL is neither http nor https."),
    ErrorCode("url_invalid", "The URL cannot be read, or holds a user name."),
    ErrorCode("header_invalid", "A header, the method or the URL holds a line break or another control character."),
    ErrorCode("header_reserved", "The header is one that FlowForge sets itself."),
    ErrorCode("redirects", "The server redirects too often."),
    ErrorCode("loop", "Workflows that call each other over HTTP are nested too deeply."),
    ErrorCode("response_invalid", "The answer is no valid HTTP, or no JSON where JSON was promised."),
    ErrorCode("response_too_large", "The answer is larger than LIMIT_HTTP_BODY allows."),
)


def _find_host(parameters: Mapping[str, Any]) -> str:
    # Start-up cost: the parser's library takes 70 ms to import. Another parser might see another host, and hand it a bound secret.
    from flowforge.kit.egress.urls import parse_target

    try:
        return parse_target(str(parameters["url"])).host
    except EgressError as error:
        raise ValueError(error.message) from error


@operation(
    "http.request",
    title="HTTP request",
    category="http",
    icon="globe",
    nature=Nature.EFFECT,
    errors=_ERRORS,
    target=_find_host,
    examples=(
        Example(
            "Read an order",
            {"url": "https://api.example.com/orders/42", "auth": {"bearer": "${{ secrets.SHOP_TOKEN }}"}},
            {
                "status": 200,
                "headers": {"content-type": "application/json", "content-length": "29"},
                "body": {"id": 42, "status": "shipped"},
                "url": "https://api.example.com/orders/42",
            },
        ),
        Example(
            "Send JSON, and take only 201 for success",
            {"method": "POST", "url": "https://api.example.com/orders", "json": {"sku": "A-1", "quantity": 2}, "expect": 201},
            {
                "status": 201,
                "headers": {"content-type": "text/plain", "content-length": "7"},
                "body": "created",
                "url": "https://api.example.com/orders",
            },
        ),
    ),
)
async def request(parameters: RequestParameters, context: OperationContext) -> RequestResult:
    """Calls a server over HTTP or HTTPS and gives its answer.

    A status of 400 and more, or one that `expect` does not list, fails the step with the code `http_<status>`; 408, 425, 429 and 5xx are
    worth another attempt, after what the server's Retry-After asks for. Each attempt carries the same `Idempotency-Key`. Only public
    addresses can be called, and those that EGRESS_ALLOW lists.
    """
    try:
        response = await context.service(EgressClient).send(_build_request(parameters, context))
    except EgressError as error:
        raise _explain(error) from error
    if not _is_expected(response.status, parameters.expect):
        raise _refuse_status(response, context)
    body = await _read_body(response, parameters.response, context)
    return RequestResult(status=response.status, headers=response.headers, body=body, url=response.url)


def _build_request(parameters: RequestParameters, context: OperationContext) -> EgressRequest:
    headers = {name: write_scalar(value) for name, value in parameters.headers.items() if value is not None}
    given = {name.lower() for name in headers}
    content_type, body = _build_body(parameters)
    if content_type is not None and "content-type" not in given:
        headers["Content-Type"] = content_type
    if "idempotency-key" not in given:
        headers["Idempotency-Key"] = context.idempotency_key
    query: Fields = dict(parameters.query)
    if parameters.auth is not None:
        _sign(parameters.auth, headers, query)
    return EgressRequest(
        method=parameters.method,
        url=_add_query(parameters.url, query),
        headers=tuple(headers.items()),
        body=body,
        depth=context.depth,
        follows_redirects=parameters.follow_redirects,
    )


def _build_body(parameters: RequestParameters) -> tuple[str | None, bytes | None]:
    if parameters.form is not None:
        return "application/x-www-form-urlencoded", urlencode(list(_list_fields(parameters.form))).encode()
    if parameters.text is not None:
        return "text/plain; charset=utf-8", parameters.text.encode()
    if "json_body" in parameters.model_fields_set:
        return "application/json", encode(parameters.json_body)
    return None, None


def _list_fields(fields: Fields) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield name, write_scalar(item)


def _add_query(url: str, query: Fields) -> str:
    encoded = urlencode(list(_list_fields(query)), quote_via=quote)
    if not encoded:
        return url
    base, hash_mark, fragment = url.partition("#")
    separator = "&" if "?" in base else "?"
    return f"{base}{separator}{encoded}{hash_mark}{fragment}"


def _sign(auth: Auth, headers: dict[str, str], query: Fields) -> None:
    if auth.bearer is not None:
        headers["Authorization"] = f"Bearer {auth.bearer}"
    elif auth.basic is not None:
        headers["Authorization"] = "Basic " + b64encode(f"{auth.basic.user}:{auth.basic.password}".encode()).decode()
    elif auth.api_key is not None and auth.api_key.header is not None:
        headers[auth.api_key.header] = auth.api_key.value
    elif auth.api_key is not None and auth.api_key.query is not None:
        query[auth.api_key.query] = auth.api_key.value


def _is_expected(status: int, expect: int | list[int] | None) -> bool:
    if expect is None:
        return status < 400
    return status in ([expect] if isinstance(expect, int) else expect)


def _refuse_status(response: EgressResponse, context: OperationContext) -> RetryableError:
    status = response.status
    return RetryableError(
        f"{response.url} answered with the status {status}.",
        code=f"http_{status}",
        details={
            "status": status,
            "url": response.url,
            "headers": dict(response.headers),
            "body": _read_error_body(response, context),
        },
        after_ms=response.retry_after_ms,
        by_default=status >= 500 or status in RETRYABLE_STATUSES,
    )


def _read_error_body(response: EgressResponse, context: OperationContext) -> JsonValue:
    if _is_json(response) and len(response.body) <= ERROR_BODY_BYTES:
        try:
            return decode_untrusted(response.body, _JSON_LIMITS)
        except JsonRefusedError:
            return _excerpt(response, context)
    return _excerpt(response, context)


async def _read_body(response: EgressResponse, wanted: BodyFormat, context: OperationContext) -> JsonValue:
    if wanted == "file":
        return await _store_file(response, context)
    if wanted == "base64":
        return b64encode(response.body).decode()
    if wanted == "json" or (wanted == "auto" and _is_json(response)):
        return _parse_json(response, context)
    return _read_text(response)


async def _store_file(response: EgressResponse, context: OperationContext) -> JsonObject:
    objects = context.service(ObjectStore)
    name = response.url.partition("?")[0].rpartition("/")[2] or "response"
    media_type = response.headers.get("content-type", "application/octet-stream")
    stored = await asyncio.to_thread(objects.put, response.body, name=name, media_type=media_type)
    return stored.to_json()


def _parse_json(response: EgressResponse, context: OperationContext) -> JsonValue:
    if not response.body.strip():
        return None
    try:
        return decode_untrusted(response.body, _JSON_LIMITS)
    except JsonRefusedError as error:
        raise RetryableError(
            f"{response.url} promised JSON, but: {error.message}",
            code=EgressFault.RESPONSE_INVALID.value,
            details={"status": response.status, "url": response.url, "excerpt": _excerpt(response, context)},
            by_default=False,
        ) from None


def _is_json(response: EgressResponse) -> bool:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _read_text(response: EgressResponse) -> str:
    _, _, parameters = response.headers.get("content-type", "").partition("charset=")
    charset = parameters.partition(";")[0].strip().strip("\"'").lower()
    return response.body.decode(charset if _CHARSET.fullmatch(charset) else "utf-8", errors="replace")


def _excerpt(response: EgressResponse, context: OperationContext) -> str:
    # Masked before it is cut: half of a secret would not be found any more.
    masked = context.masker.mask(_read_text(response))
    return masked.encode()[:EXCERPT_BYTES].decode(errors="ignore")


def _explain(error: EgressError) -> FatalError | RetryableError:
    if error.is_retryable:
        return RetryableError(error.message, code=error.fault.value)
    if error.fault in _NOT_BY_DEFAULT:
        return RetryableError(error.message, code=error.fault.value, by_default=False)
    return FatalError(error.message, code=error.fault.value)
