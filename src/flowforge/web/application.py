"""The application: routers and narrow routes inside their frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from flowforge import __version__
from flowforge.kit.errors import FlowForgeError
from flowforge.kit.settings import Settings
from flowforge.web.answers import on_bug, on_flowforge_error, on_invalid_request
from flowforge.web.bounds import BodyBounds
from flowforge.web.calls import Parts
from flowforge.web.frame import App, Frame, Observe
from flowforge.web.routing import Router
from flowforge.web.unrouted import on_unrouted

Wrap = Callable[[App], App]
"""A layer between the frame and the routes: CORS, rate limits, narrow routes. The first one is the outermost."""


@dataclass(frozen=True, slots=True)
class Application:
    """`app` is what a server serves; `routes` is FastAPI's part of it, whose routes and document can be looked at."""

    app: App
    routes: FastAPI


def make_application(
    parts: Parts, routers: Sequence[Router], layers: Sequence[Wrap] = (), observe: Observe | None = None
) -> Application:
    """All routes, guarded. Nothing is connected to yet."""
    routes = make_routes(routers)
    routes.state.parts = parts
    app: App = routes
    for layer in reversed(layers):
        app = layer(app)
    settings = parts.settings
    bounded = BodyBounds(app, settings.limits.body_max_bytes, settings.limits.upload_max_bytes)
    framed = Frame(
        bounded,
        hosts=find_hosts(settings),
        clock=parts.clock,
        observe=observe or _observe_nothing,
        is_secure=(settings.public_url or "").startswith("https:"),
    )
    return Application(framed, routes)


def make_routes(routers: Sequence[Router]) -> FastAPI:
    """The routes alone, for the document."""
    routes = FastAPI(
        title="FlowForge",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            FlowForgeError: on_flowforge_error,
            RequestValidationError: on_invalid_request,
            HTTPException: on_unrouted,
            Exception: on_bug,
        },
    )
    for router in routers:
        # Not `include_router`: it would hide the routes, which are walked by tests and by the document, behind another layer of matching.
        routes.router.routes.extend(router.routes.routes)
    return routes


def find_hosts(settings: Settings) -> frozenset[str]:
    """The names under which the server may be asked: ALLOWED_HOSTS, else those of PUBLIC_URL and PORTAL_URL."""
    if settings.allowed_hosts:
        return frozenset(host.strip().lower() for host in settings.allowed_hosts.split(",") if host.strip())
    hosts = (urlsplit(url).hostname for url in (settings.public_url, settings.portal_url) if url is not None)
    return frozenset(host for host in hosts if host is not None)


def _observe_nothing(_scope: object, _status: int, _seconds: float) -> None:
    """Nobody counts."""
