"""Routes: each says its guard where it is declared. The guard is asked before anything of the request is read."""

import re
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from flowforge.kit.errors import Detail, FlowForgeError, NotFoundError
from flowforge.kit.values import JsonValue
from flowforge.web.addresses import find_address
from flowforge.web.bodies import check_content_type, read_json
from flowforge.web.calls import Call, Parts
from flowforge.web.documenting import list_statuses
from flowforge.web.errors import NotSignedInError, ParameterError
from flowforge.web.rates import RateKind, find_kind

GUARD: Final = "x-permission"
ERRORS: Final = "x-errors"
"""The statuses of a route's errors, until the document is made."""
_REPEATABLE: Final = frozenset({"where"})
_NUL: Final = "\x00"
_ANY_QUERY: Final = "x-other-parameters"
_EVERYWHERE: Final = frozenset({"workspace"})
"""Where a browser cannot set headers the query names the workspace."""

_WORDS: Final = re.compile(r"[^a-z0-9]+")

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])


class _StrictRequest(Request):
    """A request whose JSON was read by our own reader."""

    value: JsonValue = None

    async def json(self) -> Any:
        return self.value


class GuardedRoute(APIRoute):
    """Guard, then query, then body, then the endpoint."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        guard = find_guard(self)
        kind = find_kind(min(self.methods or {"GET"}), self.path, guard)
        known = _list_query_names(self.dependant) | _EVERYWHERE
        takes_others = (self.openapi_extra or {}).get(_ANY_QUERY) == "ignored"
        body = self.body_field
        takes_json = body is not None and type(body.field_info).__name__ == "Body"

        async def answer(request: Request) -> Response:
            parts: Parts = request.app.state.parts
            state: dict[str, Any] = request.scope["state"]
            state["call"] = await admit(parts, request, guard, kind)
            _check_query(request, known, takes_others=takes_others)
            strict = _StrictRequest(request.scope, request.receive)
            data = await strict.body() if takes_json else b""
            if data:
                check_content_type(request.headers.get("content-type"))
                strict.value = read_json(data, parts.settings.limits)
            return await handle(strict)

        return answer


async def admit(parts: Parts, connection: HTTPConnection, guard: str, kind: RateKind) -> Call:
    """The call of a connection that may go on: its sender is known, may, and does not ask too often.

    Raises:
        NotSignedInError, PermissionMissingError, CsrfError, RateLimitedError, BadRequestError, NotFoundError: as the gate refuses.
    """
    state: dict[str, Any] = connection.scope["state"]
    try:
        caller = await parts.gate.admit(connection, guard)
    except NotSignedInError:
        await parts.rates.count_stranger(find_address(connection.scope, parts.settings.trusted_proxies))
        raise
    standing = await parts.rates.count(caller, kind)
    if standing is not None:
        state["answer_headers"] = [*state.get("answer_headers", ()), *standing.list_headers()]
    return Call(parts, caller, state["request_id"], state.get("traceparent"))


def find_guard(route: APIRoute) -> str:
    """The guard of a route: a permission, or one of `callers.GUARDS`."""
    return str((route.openapi_extra or {})[GUARD])


def _list_query_names(dependant: Dependant) -> frozenset[str]:
    own = {field.alias for field in dependant.query_params}
    for inner in dependant.dependencies:
        own |= _list_query_names(inner)
    return frozenset(own)


def _check_query(request: Request, known: frozenset[str], *, takes_others: bool = False) -> None:
    if _NUL in request.url.path or "%00" in request.url.path:
        # No name holds it, and PostgreSQL takes no text with it.
        raise NotFoundError("There is nothing here.", [Detail("", "There is nothing here.", "path")])
    for name, value in request.query_params.multi_items():
        if _NUL in value:
            raise ParameterError(name[:80], "It holds a control character (U+0000).", "control_char")
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in counts.items():
        if name not in known:
            if takes_others:
                continue
            raise ParameterError(name[:80], f"There is no parameter {name[:80]!r} here.", "parameter_unknown")
        if count > 1 and name not in _REPEATABLE:
            raise ParameterError(name, "This parameter may stand once only.", "parameter_repeated")


def _name_route(route: APIRoute) -> str:
    """The operation's id in the document, from which clients make names: `get_runs`, `get_runs_one`, `post_runs_one_cancel`."""
    parts = [part for part in route.path_format.removeprefix("/api/v1").split("/") if part]
    words = ["one" if part.startswith("{") else _WORDS.sub("_", part).strip("_") for part in parts]
    return "_".join([min(route.methods or {"GET"}).lower(), *(word for word in words if word)])


class Router:
    """The endpoints of one area. `area` groups them in the documentation; `prefix` is below /api/v1 unless `is_root`."""

    def __init__(self, area: str, prefix: str = "", *, is_root: bool = False) -> None:
        self.routes = APIRouter(
            prefix=prefix if is_root else f"/api/v1{prefix}",
            tags=[area],
            route_class=GuardedRoute,
            generate_unique_id_function=_name_route,
        )

    def get(self, path: str, guard: str, **options: Any) -> Callable[[EndpointT], EndpointT]:
        """Declares an endpoint. `guard`: the permission that its caller needs; `errors`: what it may refuse with, beside what all do.

        `status` (200), `model` (else the endpoint's return type), `answers` (further documented answers by status), `openapi_body` (of an
        endpoint that reads its body itself), `ignores_others` (parameters of the query that are not known here are left alone, as protocols
        of others ask for) are the other options.
        """
        return self._declare("GET", path, guard, **options)

    def post(self, path: str, guard: str, **options: Any) -> Callable[[EndpointT], EndpointT]:
        return self._declare("POST", path, guard, **options)

    def put(self, path: str, guard: str, **options: Any) -> Callable[[EndpointT], EndpointT]:
        return self._declare("PUT", path, guard, **options)

    def patch(self, path: str, guard: str, **options: Any) -> Callable[[EndpointT], EndpointT]:
        return self._declare("PATCH", path, guard, **options)

    def delete(self, path: str, guard: str, **options: Any) -> Callable[[EndpointT], EndpointT]:
        return self._declare("DELETE", path, guard, **options)

    def _declare(
        self,
        method: str,
        path: str,
        guard: str,
        *,
        status: int = 200,
        errors: Sequence[type[FlowForgeError]] = (),
        answers: dict[int | str, dict[str, Any]] | None = None,
        openapi_body: dict[str, Any] | None = None,
        **options: Any,
    ) -> Callable[[EndpointT], EndpointT]:
        extra = describe_operation(guard, errors, openapi_body)
        if options.pop("ignores_others", False):
            extra[_ANY_QUERY] = "ignored"

        def declare(endpoint: EndpointT) -> EndpointT:
            if status == 204:
                options.setdefault("response_class", Response)
                options.setdefault("response_model", None)
            self.routes.add_api_route(
                path,
                endpoint,
                methods=[method],
                status_code=status,
                responses=answers or {},
                openapi_extra=extra,
                **options,
            )
            return endpoint

        return declare


def describe_operation(guard: str, errors: Sequence[type[FlowForgeError]], openapi_body: dict[str, Any] | None) -> dict[str, Any]:
    """What the OpenAPI document says beside what the framework finds out: guard, errors, and a body that the endpoint reads itself.

    Of errors only the statuses: the framework would build a validator for each model of each route at each start (1.5 s in all).
    """
    described: dict[str, Any] = {GUARD: guard, ERRORS: list_statuses(guard, errors)}
    return described if openapi_body is None else described | {"requestBody": openapi_body}
