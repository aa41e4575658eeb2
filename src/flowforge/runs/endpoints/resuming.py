"""`GET|POST ^/resume/{token}`: a link that lets a run go on."""

from typing import Final, NoReturn

from fastapi.responses import HTMLResponse
from pydantic import ValidationError as PydanticValidationError
from starlette.requests import Request
from starlette.responses import Response

from flowforge.engine.store import Delivery, NewMail
from flowforge.kit.border import encode
from flowforge.kit.errors import ValidationError
from flowforge.kit.signing import SigningKeys
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.endpoints.signals import make_signal
from flowforge.runs.errors import ResumeTokenError
from flowforge.runs.history import read_history
from flowforge.runs.resume_page import PAGE_POLICY, make_question, make_refusal, make_thanks
from flowforge.runs.resuming import ResumeToken, make_token, read_signal, read_token
from flowforge.runs.schemas import ResumeBody, ResumedAnswer, SignalBody
from flowforge.runs.service import find_run, read_journal
from flowforge.runs.starting import Runner
from flowforge.runs.types import RunHeader, WaitingFor
from flowforge.web.answers import make_json
from flowforge.web.bodies import check_content_type, read_json
from flowforge.web.callers import OPEN
from flowforge.web.calls import Call, CallIn
from flowforge.web.faults import read_faults
from flowforge.web.routing import Router

router = Router("resume", "/resume", is_root=True)

_NOBODY: Final = ResumeToken("ws_" + "0" * 26, "run_" + "0" * 26)
_FORM: Final = "application/x-www-form-urlencoded"
_BY: Final = "link"


@router.get("/{token}", OPEN, errors=[ResumeTokenError], response_class=HTMLResponse)
async def show_resume_page(call: CallIn, token: str, request: Request) -> Response:
    """A page with a button. It changes nothing: programs that look at mails open links."""
    try:
        found, header = await _find_wait(call, token, request)
    except ResumeTokenError:
        if not _is_of_browser(request):
            raise
        return _make_page(make_refusal(), 404)
    wait = read_signal(found)
    # The button means the wait that the page tells of, also where the link means any that the run has.
    action = make_token(call.port(SigningKeys), header, found)
    return _make_page(make_question(header.workflow, wait.step, wait.signal, action), 200)


@router.post(
    "/{token}",
    OPEN,
    status=202,
    errors=[ResumeTokenError],
    response_model=ResumedAnswer,
    openapi_body={
        "content": {"application/json": {"schema": ResumeBody.model_json_schema()}, _FORM: {"schema": {"type": "object"}}}
    },
)
async def resume(call: CallIn, token: str, request: Request) -> Response:
    """Send the signal that the link is for. `payload` is what the waiting step gives."""
    found, header = await _find_wait(call, token, request)
    wait = read_signal(found)
    body = SignalBody(name=wait.signal, key=wait.key, payload=await _read_payload(call, request))
    mail = NewMail(header.no, "signal", encode(make_signal(body)), _BY, f"resume:{wait.step}"[:400])
    verdict = await call.port(Runner).deliver(mail)
    if verdict in {Delivery.FINISHED, Delivery.UNKNOWN}:
        _refuse()
    if _is_of_browser(request):
        return _make_page(make_thanks(header.workflow), 202)
    answer: JsonObject = {"run_id": header.id, "status": header.status, "duplicate": verdict is Delivery.DUPLICATE}
    return make_json(answer, 202)


async def _find_wait(call: Call, text: str, request: Request) -> tuple[WaitingFor, RunHeader]:
    """The wait that the link is for. Whatever is wrong with the link, the answer is the same, and the database is asked once before it."""
    is_spelled_out = b"%" not in request.scope.get("raw_path", b"")
    token = read_token(call.port(SigningKeys), text, call.now_ms) if is_spelled_out else None
    wanted = token or _NOBODY
    async with call.read() as session:
        header = await find_run(session, wanted.workspace_id, wanted.run_id)
        if token is None or header is None or not header.is_open:
            _refuse()
        history = read_history(await read_journal(session, header))
    wait = None if history.finished is not None else token.choose(history.list_waits())
    if wait is None:
        _refuse()
    return wait, header


async def _read_payload(call: Call, request: Request) -> JsonValue:
    """The body's `payload`; a form, as our page sends it, has none."""
    kind = request.headers.get("content-type", "")
    data = await request.body()
    if not data or kind.partition(";")[0].strip().lower() == _FORM:
        return None
    check_content_type(kind)
    try:
        return ResumeBody.model_validate(read_json(data, call.limits)).payload
    except PydanticValidationError as fault:
        details = read_faults([{**error, "loc": ("body", *error["loc"])} for error in fault.errors()])
        raise ValidationError("The body is an object with `payload`, or empty.", details) from fault


def _make_page(page: str, status: int) -> Response:
    return HTMLResponse(page, status, {"content-security-policy": PAGE_POLICY})


def _is_of_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _refuse() -> NoReturn:
    raise ResumeTokenError
