"""`POST /runs`, as a narrow route: plain ASGI before FastAPI, because starts come by the thousand a second. In the OpenAPI all the same."""

from typing import Annotated, Any, Final

from fastapi import Header, Query
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from flowforge.engine.errors import OverloadedError, StartRejectedError
from flowforge.kit.border import encode
from flowforge.kit.errors import FlowForgeError, NotInstalledError
from flowforge.runs.once import IdempotencyMismatchError
from flowforge.runs.schemas import RunAnswer
from flowforge.runs.start_request import KEY_HEADER, StartBody
from flowforge.runs.start_serving import StartAnswer, serve_start
from flowforge.runs.start_targets import START
from flowforge.web.answers import answer_error
from flowforge.web.calls import CallIn, Parts
from flowforge.web.errors import BadRequestError
from flowforge.web.frame import App, Receive, Scope, Send
from flowforge.web.rates import RateKind
from flowforge.web.routing import Router, admit

START_PATH: Final = "/api/v1/runs"
_JSON: Final = (b"content-type", b"application/json")
_REPLAYED: Final = (b"idempotency-replayed", b"true")


class StartLayer:
    """Answers `POST /runs`; everything else goes on to `app`."""

    def __init__(self, app: App, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != START_PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["state"]["route"] = START_PATH
        # The guard comes before anything else of the request is looked at.
        try:
            call = await admit(self._parts, HTTPConnection(scope, receive), START, RateKind.START)
            data = await _read_body(receive)
            answer = await serve_start(call, scope["headers"], scope["query_string"], data)
        except FlowForgeError as fault:
            # Here, and not by the frame: the layers between see the answer, and let a page of another origin read it.
            await answer_error(fault, scope["state"]["request_id"])(scope, receive, send)
            return
        body = encode(answer.run)
        headers = [*_list_headers(answer), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return message.get("body", b"")
    parts: list[bytes] = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    raise BadRequestError("The body did not come whole.", reason="body_incomplete")


def _list_headers(answer: StartAnswer) -> list[tuple[bytes, bytes]]:
    headers = [_JSON, (b"location", f"{START_PATH}/{answer.run['id']}".encode())]
    return [*headers, _REPLAYED] if answer.is_repeat else headers


router = Router("runs", "/runs")

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": RunAnswer, "description": "The run has ended within `wait`."},
    202: {"model": RunAnswer, "description": "The run is stored, and will go on."},
}
WaitIn = Annotated[str | None, Query(description="How long to wait for the end of the run, up to 60s.", examples=["30s"])]
KeyIn = Annotated[
    str | None,
    Header(alias=KEY_HEADER, description="1 to 255 visible ASCII characters; the same key gives the same run for 24 hours."),
]


@router.post(
    "",
    START,
    status=202,
    errors=[IdempotencyMismatchError, NotInstalledError, StartRejectedError, OverloadedError],
    answers=_ANSWERS,
    response_model=None,
)
async def start_run(
    call: CallIn, request: Request, body: StartBody, wait: WaitIn = None, idempotency_key: KeyIn = None
) -> Response:
    """Start a run.

    The run exists when this is answered. With `wait` the answer comes when the run has ended or needs somebody (200, or 202 when the time
    is over first). With an `Idempotency-Key` the same request gives the same run for 24 hours, with `Idempotency-Replayed: true`.
    """
    del body, wait, idempotency_key  # declared for the document; the narrow route reads them by itself
    answer = await serve_start(call, request.scope["headers"], request.scope["query_string"], await request.body())
    headers = {name.decode(): value.decode() for name, value in _list_headers(answer)}
    return Response(encode(answer.run), answer.status, headers)


ROUTERS: Final = (router,)
