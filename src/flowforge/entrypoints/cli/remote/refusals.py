"""From a server's answer to the error that a command would have raised on a data folder."""

from collections.abc import Iterator
from typing import Final, cast

from flowforge.kit.errors import (
    ConflictError,
    DependencyError,
    Detail,
    FlowForgeError,
    InvariantError,
    NotFoundError,
    NotPermittedError,
    RequestError,
    StorageError,
)
from flowforge.kit.values import JsonObject, JsonValue

_KINDS: Final[dict[int, type[FlowForgeError]]] = {
    401: NotPermittedError,
    403: NotPermittedError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    412: ConflictError,
    424: DependencyError,
    428: ConflictError,
    429: StorageError,
    500: InvariantError,
}


def make_refusal(status: int, told: JsonValue, request_id: str) -> FlowForgeError:
    """The error of an answer, with the server's code, details and request id. `told`: the body as JSON, None where it is none."""
    error = told.get("error") if isinstance(told, dict) else None
    if not isinstance(error, dict):
        return StorageError(f"The server answered {status}, but not as a FlowForge server does.")
    base = _KINDS.get(status, StorageError if status > 500 else RequestError)
    known = error.get("requestId")
    marks = {"code": str(error.get("code", base.code)), "request_id": known if isinstance(known, str) else request_id}
    # The code is the class's, and there are more codes on a server than classes that a command needs.
    kind = cast("type[FlowForgeError]", type(base.__name__, (base,), marks))
    return kind(str(error.get("message", f"The server answered {status}.")), tuple(read_details(error.get("details"))))


def read_details(listed: JsonValue) -> Iterator[Detail]:
    """Faults as the API has them."""
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            yield _read_detail(item)


def _read_detail(item: JsonObject) -> Detail:
    line, column, suggestion = item.get("line"), item.get("column"), item.get("suggestion")
    return Detail(
        field=str(item.get("field", "")),
        message=str(item.get("message", "")),
        code=str(item.get("code", "")),
        line=line if isinstance(line, int) else None,
        column=column if isinstance(column, int) else None,
        suggestion=suggestion if isinstance(suggestion, str) else None,
    )
