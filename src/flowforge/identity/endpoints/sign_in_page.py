"""`^/sign-in`: our page for signing in. It works offline, and takes script and style from this server only."""

from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from fastapi import Query, Response

from flowforge.web.callers import OPEN
from flowforge.web.routing import Router

router: Final = Router("auth", "/sign-in", is_root=True)

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"content-security-policy": CONTENT_SECURITY_POLICY}

NextIn = Annotated[str | None, Query(max_length=2_000, description="Where to go afterwards: a path of this server.")]


@router.get("", OPEN, include_in_schema=False)
async def show_page(next: NextIn = None) -> Response:  # noqa: A002 (the parameter's name in the address)
    """The page itself; its script reads `next`, and the token behind `#`, which no server sees."""
    del next
    return Response(_read("sign_in.html"), media_type="text/html", headers=_HEADERS)


@router.get("/sign_in.js", OPEN, include_in_schema=False)
async def show_script() -> Response:
    """The page's script."""
    return Response(_read("sign_in.js"), media_type="text/javascript", headers=_HEADERS)


@router.get("/sign_in.css", OPEN, include_in_schema=False)
async def show_style() -> Response:
    """The page's style."""
    return Response(_read("sign_in.css"), media_type="text/css", headers=_HEADERS)


@cache
def _read(name: str) -> bytes:
    return files("flowforge.identity").joinpath("pages", name).read_bytes()
