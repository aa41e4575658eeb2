"""The OpenAPI document of the server, as a file of the package: a server that starts does not make it."""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, cast

import orjson
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from flowforge import __version__
from flowforge.entrypoints.server.routers import list_routers
from flowforge.web.application import make_routes
from flowforge.web.callers import OPEN
from flowforge.web.documenting import ErrorAnswer
from flowforge.web.routing import ERRORS, GUARD, Router

TARGET: Final = Path("src/flowforge/web/pages/openapi.json")
_SCHEMES: Final = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key (`ff_…`) or an access token."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "session": {"type": "apiKey", "in": "cookie", "name": "flowforge_sid", "description": "Changes need X-CSRF-Token too."},
}
_CONTENT: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_LOCATION: Final = {"Location": {"description": "Where it is.", "schema": {"type": "string"}}}
_RETRY: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})


def render_openapi(routers: Sequence[Router] | None = None) -> bytes:
    """The document as JSON, its keys in the order of the routes. `routers`: None, those of the server."""
    routes = make_routes(list_routers() if routers is None else routers)
    document: dict[str, Any] = get_openapi(
        title="FlowForge",
        version=__version__,
        description="Workflow automation that loses nothing. Every route needs a permission (`x-permission`), or says that it is open.",
        routes=routes.routes,
        openapi_version="3.1.0",
    )
    document["info"]["x-generated"] = "Made by `make generate` from the code; do not edit."
    document["components"]["securitySchemes"] = _SCHEMES
    document["components"]["schemas"] |= _describe_errors()
    refused: dict[str, Any] = {}
    for operation in _list_operations(document):
        for status in operation.pop(ERRORS, ()):
            name = f"error_{status}"
            refused[name] = {"description": HTTPStatus(status).phrase, "content": _CONTENT}
            if status in {429, 503}:
                refused[name]["headers"] = _RETRY
            operation["responses"][str(status)] = {"$ref": f"#/components/responses/{name}"}
        if "201" in operation["responses"]:
            operation["responses"]["201"]["headers"] = _LOCATION
        if operation.get(GUARD) != OPEN:
            operation["security"] = [{name: []} for name in _SCHEMES]
    for schema in _list_schemas(document):
        _tidy(schema)
    document["components"]["responses"] = dict(sorted(refused.items()))
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def _describe_errors() -> dict[str, Any]:
    described = ErrorAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    inner: dict[str, Any] = described.pop("$defs")
    return {**inner, ErrorAnswer.__name__: described}


def _list_schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document that describes a value, and others that look like one."""
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        if "type" in found or "anyOf" in found or "$ref" in found:
            yield found
        for inner in found.values():
            yield from _list_schemas(inner)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _list_schemas(item)


def _tidy(schema: dict[str, Any]) -> None:
    """Without titles that repeat a field's name, and without a default that stands for "left as it is" and fits no value."""
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if schema.get("default") == "" and schema.get("minLength"):
        del schema["default"]


def _list_operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in cast("dict[str, dict[str, Any]]", document["paths"]).values():
        yield from (operation for method, operation in path.items() if method in _METHODS)


def list_guards() -> dict[str, str]:
    """The guard of each documented route, by method and path."""
    routes = make_routes(list_routers()).routes
    return {
        f"{method} {route.path}": str((route.openapi_extra or {}).get(GUARD))
        for route in routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
