"""Operations over HTTP: listed, described, checked, called."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import Header, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from flowforge.kit.errors import ValidationError
from flowforge.kit.objects import ObjectStore
from flowforge.kit.objects.values import FileValue, parse_file
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.operations.definition import AttemptError, Operation, RetryableError
from flowforge.operations.registry import Registry
from flowforge.runs.once import IdempotencyMismatchError, Once
from flowforge.toolbox.detaching import start_detached
from flowforge.toolbox.errors import OperationFailedError, OperationNotFoundError, ThirdPartyFailedError, explain_failure
from flowforge.toolbox.ports import CallOperation
from flowforge.toolbox.reading import read_parameters
from flowforge.toolbox.repeating import CallInProgressError, call_once, make_asked, name_effect
from flowforge.toolbox.schemas import (
    DetachedAnswer,
    OperationAnswer,
    OperationRow,
    ParametersAnswer,
    SchemaAnswer,
    describe_operation,
    describe_row,
)
from flowforge.web.answers import describe_detail, make_json
from flowforge.web.bodies import JsonField
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import LIMIT_DEFAULT, Page, cut_page, mark_list, read_cursor
from flowforge.web.queries import CursorIn, LimitIn, SearchIn
from flowforge.web.routing import Router

operations: Final = Router("operations", "/operations")
ROUTERS: Final[Sequence[Router]] = (operations,)

_BODY: Final[dict[str, Any]] = {
    "description": "The operation's parameters; with files as a form of the JSON part `params` and a part for each file.",
    "required": False,
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "multipart/form-data": {"schema": {"type": "object", "properties": {"params": {"type": "string"}}}},
    },
}
_CHUNK_BYTES: Final = 256 * 1024

NameIn = Annotated[str, Path(max_length=200, examples=["crypto.hash"])]
DetachIn = Annotated[bool, Query(description="Start a run of this one step, and answer at once.")]
KeyIn = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


@operations.get("", "operation:read", summary="The operations that are installed here")
async def list_operations(
    call: CallIn, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None, q: SearchIn = "", category: str = ""
) -> Page[OperationRow]:
    """By name. `q`: a text in name or title; `category`: those of one category."""
    registry, wanted = call.port(Registry), q.casefold()
    mark = mark_list("operations", q, category)
    place = read_cursor(cursor, mark, [str])
    found = [
        operation
        for operation in registry.all()
        if (not category or operation.category == category)
        and (not wanted or wanted in operation.name or wanted in operation.title.casefold())
        and (place is None or operation.name > str(place[0]))
    ]
    kept, following = cut_page(found[: limit + 1], limit, mark, lambda operation: [operation.name])
    return Page(data=[describe_row(registry, operation) for operation in kept], next_cursor=following)


@operations.get("/{name}", "operation:read", errors=[OperationNotFoundError], summary="The reference of an operation")
async def get_operation(call: CallIn, name: NameIn) -> OperationAnswer:
    return describe_operation(call.port(Registry), _find(call, name))


@operations.get("/{name}/schema", "operation:read", errors=[OperationNotFoundError], summary="The schemas of an operation")
async def get_schema(call: CallIn, name: NameIn) -> SchemaAnswer:
    operation = _find(call, name)
    return SchemaAnswer(parameters=operation.parameters_schema, result=operation.result_schema)


@operations.post(
    "/{name}/test",
    "operation:call",
    errors=[OperationNotFoundError],
    openapi_body=_BODY,
    summary="Check parameters; nothing is called",
)
async def check_operation(call: CallIn, request: Request, name: NameIn) -> ParametersAnswer:
    operation = _find(call, name)
    _require_own(call, operation)
    try:
        validate_parameters(operation, await read_parameters(call, request))
    except InvalidParametersError as fault:
        return ParametersAnswer(valid=False, errors=[describe_detail(each) for each in fault.faults])
    return ParametersAnswer(valid=True, errors=[])


@operations.post(
    "/{name}",
    "operation:call",
    errors=[OperationNotFoundError, OperationFailedError, ThirdPartyFailedError, IdempotencyMismatchError, CallInProgressError],
    openapi_body=_BODY,
    response_class=Response,
    response_model=JsonField,
    answers={202: {"model": DetachedAnswer, "description": "The run was started (detach=true)"}},
    summary="Call an operation",
)
async def call_operation(
    call: CallIn, request: Request, name: NameIn, *, detach: DetachIn = False, idempotency_key: KeyIn = None
) -> Response:
    """The answer is the result itself, as a step has it; a result that is a file comes as its bytes where Accept asks for no JSON.

    With an `Idempotency-Key` a call that succeeded is answered again for 24 hours without being made again.
    """
    operation = _find(call, name)
    _require_own(call, operation)
    value = await read_parameters(call, request)
    if detach:
        return await _detach(call, operation, value, idempotency_key)
    if idempotency_key is None:
        result, is_repeat = await _call(call, operation, value, None), False
    else:
        asked = make_asked(call, operation.name, idempotency_key, value)
        key = name_effect(asked)
        result, is_repeat = await call_once(call, asked, lambda: _call(call, operation, value, key), call.limits.step_timeout_ms)
    headers = {"idempotency-replayed": "true"} if is_repeat else {}
    file = _find_file(result)
    if file is not None and _wants_bytes(request):
        return await _send_file(call, file, headers)
    return make_json(result, 200, headers)


async def _call(call: Call, operation: Operation, value: JsonValue, key: str | None) -> JsonValue:
    may_use_secrets = call.caller.rights.allow("secret:use")
    timeout_ms = call.limits.step_timeout_ms
    try:
        async with asyncio.timeout(timeout_ms / 1_000):
            return await call.port(CallOperation)(
                operation, value, workspace_id=call.workspace_id, may_use_secrets=may_use_secrets, key=key
            )
    except TimeoutError:
        fault = RetryableError(f"The call did not end within {timeout_ms / 1_000:g} s.", code="timeout")
        raise explain_failure(operation, fault) from None
    except AttemptError as fault:
        raise explain_failure(operation, fault) from None


async def _detach(call: Call, operation: Operation, value: JsonValue, key: str | None) -> Response:
    call.require("workflow:start")
    once = None if key is None else Once("call", operation.name, key, make_asked(call, operation.name, key, value).digest)
    started = await start_detached(call, operation, value, once)
    told: JsonObject = {"run_id": started.started.run_id, "status": "queued"}
    headers = {"location": f"/api/v1/runs/{started.started.run_id}"}
    if started.is_repeat:
        headers["idempotency-replayed"] = "true"
    return make_json(told, 202, headers)


def _find(call: Call, name: str) -> Operation:
    operation = call.port(Registry).find(name)
    if operation is None:
        raise OperationNotFoundError(name)
    return operation


def _require_own(call: Call, operation: Operation) -> None:
    """Some operations need a permission of their own, beside the one to call any."""
    if operation.permission != "operation:call":
        call.require(operation.permission)


def _find_file(result: JsonValue) -> FileValue | None:
    try:
        return parse_file(result)
    except ValidationError:
        return None


def _wants_bytes(request: Request) -> bool:
    accepted = request.headers.get("accept", "*/*")
    return "json" not in accepted and "*/*" not in accepted


async def _send_file(call: Call, file: FileValue, more: Mapping[str, str]) -> Response:
    source = await asyncio.to_thread(call.port(ObjectStore).open, file.id)

    async def read() -> AsyncIterator[bytes]:
        with source:
            while data := await asyncio.to_thread(source.read, _CHUNK_BYTES):
                yield data

    headers = {**more, "content-length": str(file.size_bytes), "content-security-policy": "sandbox; default-src 'none'"}
    return StreamingResponse(read(), 200, headers, media_type=file.media_type)
