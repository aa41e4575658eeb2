"""The API's own documentation: `/openapi.json`, and `/docs`, which tries it from the browser with nothing from elsewhere."""

from importlib.resources import files
from typing import Annotated, Final

from fastapi import Path
from starlette.responses import Response

from flowforge.kit.errors import Detail, NotFoundError
from flowforge.web.callers import OPEN
from flowforge.web.routing import Router

documentation: Final = Router("documentation", is_root=True)

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OURS: Final = "flowforge.web"
_THEIRS: Final = "fastapi_offline"
"""The package that has Swagger UI's files; nothing else of it is used."""
_ASSETS: Final = {
    "docs.css": (_OURS, "pages", "text/css"),
    "docs.js": (_OURS, "pages", "text/javascript"),
    "swagger-ui.css": (_THEIRS, "static", "text/css"),
    "swagger-ui-bundle.js": (_THEIRS, "static", "text/javascript"),
}


class AssetNotFoundError(NotFoundError):
    """There is no such file."""

    def __init__(self) -> None:
        super().__init__("There is no such file.", [Detail("", "There is no such file.", "asset_unknown")])


@documentation.get("/", OPEN, response_class=Response, response_model=None, include_in_schema=False)
async def get_front() -> Response:
    """Whoever opens the server's address in a browser is led to what can be looked at."""
    return Response(status_code=303, headers={"location": "/docs"})


@documentation.get("/openapi.json", OPEN, response_class=Response, response_model=None, include_in_schema=False)
async def get_openapi() -> Response:
    """The OpenAPI document (3.1), which was made when the package was built."""
    return Response(_read(_OURS, "pages", "openapi.json"), media_type="application/json", headers={"cache-control": "no-cache"})


@documentation.get("/docs", OPEN, response_class=Response, response_model=None, include_in_schema=False)
async def get_docs() -> Response:
    return Response(_read(_OURS, "pages", "docs.html"), media_type="text/html", headers={"content-security-policy": _POLICY})


@documentation.get("/docs/{name}", OPEN, response_class=Response, response_model=None, include_in_schema=False)
async def get_asset(name: Annotated[str, Path(max_length=100)]) -> Response:
    if name not in _ASSETS:
        raise AssetNotFoundError
    package, folder, media_type = _ASSETS[name]
    return Response(_read(package, folder, name), media_type=media_type, headers={"cache-control": "public, max-age=3600"})


def _read(package: str, folder: str, name: str) -> bytes:
    return files(package).joinpath(folder, name).read_bytes()
