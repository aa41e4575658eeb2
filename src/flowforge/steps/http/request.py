"""`http.request`."""

from datetime import timedelta
from typing import Final

from flowforge.kit.units import parse_duration
from flowforge.operations import Cache, Example, Nature, OperationContext, operation
from flowforge.steps.http.answers import is_expected, read_body, refuse_status
from flowforge.steps.http.bodies import BODY_ERRORS, build_body
from flowforge.steps.http.paging import PAGING_ERRORS, Pager
from flowforge.steps.http.paging_models import Paging
from flowforge.steps.http.parameters import FILE_DEFAULT_BYTES, RequestParameters, RequestResult
from flowforge.steps.http.receiving import read_beginning, store_body
from flowforge.steps.http.sending import CALL_ERRORS, Call, Caller, find_host

_NOT_MODIFIED: Final = 304


def read_cache_time(parameters: RequestParameters) -> timedelta | None:
    return None if parameters.cache is None else timedelta(milliseconds=parse_duration(parameters.cache))


@operation(
    "http.request",
    title="HTTP request",
    category="http",
    icon="globe",
    nature=Nature.EFFECT,
    errors=(*CALL_ERRORS, *BODY_ERRORS, *PAGING_ERRORS),
    target=find_host,
    cache=Cache(read_cache_time, only_reads=True),
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
        Example(
            "Fetch a list page by page",
            {
                "url": "https://api.example.com/customers",
                "paging": {"cursor": {"from": "next", "query": "after"}, "items": "data"},
            },
            {
                "status": 200,
                "headers": {"content-type": "application/json", "content-length": "31"},
                "body": None,
                "url": "https://api.example.com/customers?after=c2",
                "items": [{"id": 1}, {"id": 2}, {"id": 3}],
                "page_count": 2,
                "is_complete": True,
            },
        ),
        Example(
            "Ask only for what has changed since the last time",
            {"url": "https://api.example.com/prices", "if_changed": {"etag": '"v7"'}},
            {
                "status": 304,
                "headers": {"etag": '"v7"'},
                "body": None,
                "url": "https://api.example.com/prices",
                "is_changed": False,
            },
        ),
        Example(
            "Sign in with client credentials, and send a form with a field in JSON",
            {
                "method": "POST",
                "url": "https://api.example.com/documents",
                "auth": {
                    "oauth2": {
                        "token_url": "https://api.example.com/oauth/token",
                        "client_id": "flowforge",
                        "client_secret": "${{ secrets.CLIENT_SECRET }}",
                    }
                },
                "multipart": [
                    {"name": "about", "json": {"order": 42}},
                    {"name": "note", "base64": "SGVsbG8=", "filename": "note.txt", "media_type": "text/plain"},
                ],
            },
            {
                "status": 200,
                "headers": {"content-type": "application/json", "content-length": "15"},
                "body": {"received": 2},
                "url": "https://api.example.com/documents",
            },
        ),
    ),
)
async def request(parameters: RequestParameters, context: OperationContext) -> RequestResult:
    """Calls a server over HTTP or HTTPS and gives its answer.

    A status of 400 and more, or one that `expect` does not list, fails the step with the code `http_<status>`; 408, 425, 429 and 5xx are
    worth another attempt, after what the server's Retry-After asks for. Each attempt carries the same `Idempotency-Key`. Only public
    addresses can be called, and those that EGRESS_ALLOW lists.

    With `paging` the items of all pages are joined; a next page on another host is refused, because the credentials do not belong there,
    and if one page fails, the next attempt begins with the first. With `if_changed` an unchanged answer (304) is no error: give the
    `headers.etag` or `headers['last-modified']` of the last time, and look at `is_changed`. With `auth.oauth2` the token is kept until it
    expires, and fetched anew once if the server does not take it; a secret that is bound to hosts can be used with it only where both
    URLs have the same host. With `cache` equal requests of the workspace share one answer for that long: the same URL, headers,
    credentials and all else.
    """
    content_type, body = await build_body(parameters, context)
    headers = {} if content_type is None else {"Content-Type": content_type}
    if parameters.if_changed is not None:
        headers |= parameters.if_changed.list_headers()
    call = Call(parameters.method, parameters.url, headers, parameters.query, body)
    caller = Caller(parameters, context)
    if parameters.paging is not None:
        return await _collect_pages(parameters, parameters.paging, context, caller, call)
    if parameters.response == "file":
        return await _fetch_file(parameters, context, caller, call)
    most_bytes = None if parameters.max_size is None else min(parameters.max_size, context.limits.http_body_bytes)
    response = await caller.exchange(call, max_bytes=most_bytes)
    if parameters.if_changed is not None and response.status == _NOT_MODIFIED:
        return RequestResult(status=_NOT_MODIFIED, headers=response.headers, body=None, url=response.url, is_changed=False)
    if not is_expected(response.status, parameters.expect):
        raise refuse_status(response, context)
    answer = read_body(response, parameters.response, context)
    is_changed = None if parameters.if_changed is None else True
    return RequestResult(status=response.status, headers=response.headers, body=answer, url=response.url, is_changed=is_changed)


async def _fetch_file(parameters: RequestParameters, context: OperationContext, caller: Caller, call: Call) -> RequestResult:
    async with caller.open(call, max_bytes=parameters.max_size or FILE_DEFAULT_BYTES) as stream:
        if parameters.if_changed is not None and stream.status == _NOT_MODIFIED:
            return RequestResult(status=_NOT_MODIFIED, headers=stream.headers, body=None, url=stream.url, is_changed=False)
        if not is_expected(stream.status, parameters.expect):
            raise refuse_status(await read_beginning(stream, context.limits), context)
        stored = await store_body(stream, context)
    is_changed = None if parameters.if_changed is None else True
    return RequestResult(
        status=stream.status, headers=stream.headers, body=stored.to_json(), url=stream.url, is_changed=is_changed
    )


async def _collect_pages(
    parameters: RequestParameters, paging: Paging, context: OperationContext, caller: Caller, call: Call
) -> RequestResult:
    pages = await Pager(parameters, paging, context, caller).collect(call)
    return RequestResult(
        status=pages.last.status,
        headers=pages.last.headers,
        body=None,
        url=pages.last.url,
        items=pages.items,
        page_count=pages.count,
        is_complete=pages.is_complete,
    )
