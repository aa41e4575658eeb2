"""Which routes and layers a server has."""

from collections.abc import Collection

from flowforge.configuration.ports import PresentSettings
from flowforge.entrypoints.server.domains import Domains, Ground
from flowforge.entrypoints.server.pages import HealthLayer
from flowforge.entrypoints.server.pinning import NoticeChanges
from flowforge.entrypoints.server.routers import list_routers
from flowforge.kit.settings import Settings
from flowforge.live.socket import LiveLayer
from flowforge.runs.start_endpoint import StartLayer
from flowforge.triggers.intake import make_hook_layer
from flowforge.web.application import Application, Wrap, make_application
from flowforge.web.cors import Cors, ListOrigins
from flowforge.web.observing import Observer, TraceLayer


def make_server(ground: Ground, domains: Domains) -> Application:
    """The application, ready to be served. Layers: the first one is the outermost."""
    parts, pages = domains.parts, ground.pages
    tracing = ground.installation.tracing
    layers: list[Wrap] = [
        lambda app: HealthLayer(app, pages),
        lambda app: Cors(app, make_origins(parts.settings, domains.present)),
        lambda app: StartLayer(app, parts),
        make_hook_layer(parts),
        lambda app: LiveLayer(app, parts),
        lambda app: NoticeChanges(app, ground.versions),
    ]
    if tracing.is_on:
        layers.insert(1, lambda app: TraceLayer(app, tracing))  # probes of health would fill every trace list
    return make_application(parts, list_routers(), layers, observe=Observer(parts.metrics.server))


def make_origins(settings: Settings, present: PresentSettings) -> ListOrigins:
    """The origins whose pages may call: those of CORS_ORIGINS, and those that were set at run time."""
    fixed = frozenset(origin.strip() for origin in settings.cors_origins.split(",") if origin.strip())

    async def list_origins() -> Collection[str]:
        return fixed | frozenset((await present.read()).cors_origins)

    return list_origins
