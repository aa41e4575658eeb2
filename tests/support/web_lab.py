"""A server in the test's own loop, with a gate that lets in whom the test names. For endpoints of one domain, without identity."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx2
from starlette.requests import HTTPConnection
from tests.support.audit_watch import AuditWatch
from tests.support.databases import Kind
from tests.support.sessions import open_database_sessions

from flowforge.kit.clock import Clock, SystemClock
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, IdSource
from flowforge.kit.keyring import Keyring
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.web.application import Wrap, make_application
from flowforge.web.callers import GUARDS, OPEN, Caller, CredentialKind, Rights
from flowforge.web.calls import Call, Parts
from flowforge.web.errors import NotSignedInError, PermissionMissingError
from flowforge.web.frame import App
from flowforge.web.rates import Rates
from flowforge.web.routing import Router


class _Everything(frozenset[str]):
    def __contains__(self, item: object) -> bool:
        return True


EVERYTHING = _Everything()
"""Holds every permission."""


def make_caller(*permissions: str, workspace_id: str = DEFAULT_WORKSPACE_ID, user_id: str = "usr_" + "1" * 26) -> Caller:
    """A person with these permissions in the workspace; without any named: with all."""
    rights = Rights(frozenset(permissions) if permissions else EVERYTHING)
    return Caller(
        f"user:{user_id}", user_id, CredentialKind.SESSION, "session:ses_" + "1" * 26, workspace_id, rights, "127.0.0.1"
    )


ANONYMOUS = replace(
    make_caller("nothing:at_all"), actor="anonymous", user_id=None, kind=CredentialKind.NONE, credential="", rights=Rights()
)


@dataclass
class FakeGate:
    """Admits `caller`, who may be changed between requests, if it has the guard's permission."""

    caller: Caller = field(default_factory=make_caller)

    async def admit(self, connection: HTTPConnection, guard: str) -> Caller:
        if guard == OPEN:
            return self.caller
        if self.caller.is_anonymous:
            raise NotSignedInError
        if guard not in GUARDS and not self.caller.rights.allow_somewhere(guard):
            raise PermissionMissingError(guard)
        return self.caller


@dataclass
class WebLab:
    """`client` speaks to the application `app`; `call` gives a call as an endpoint gets it, for services."""

    client: httpx2.AsyncClient
    gate: FakeGate
    parts: Parts
    app: App

    def call(self) -> Call:
        return Call(self.parts, self.gate.caller, "req_test")


@asynccontextmanager
async def open_web_lab(
    folder: Path,
    routers: Sequence[Router],
    *,
    kind: Kind = "sqlite",
    ports: Mapping[type, object] | None = None,
    clock: Clock | None = None,
    settings: Mapping[str, Any] | None = None,
    layers: Sequence[Wrap] = (),
) -> AsyncGenerator[WebLab]:
    """`settings`: by field name. `ports`: what the domain's endpoints ask for with `call.port`."""
    gate, the_clock = FakeGate(), clock or SystemClock()
    async with open_database_sessions(kind, folder) as database:
        the_settings = Settings.model_validate({"data": folder, **(settings or {})})
        parts = Parts(
            settings=the_settings,
            database=database,
            keyring=Keyring.generate(),
            clock=the_clock,
            ids=IdSource(the_clock),
            metrics=Metrics(),
            gate=gate,
            rates=Rates(the_settings),
            ports=ports or {},
        )
        watch = AuditWatch(database)
        application = make_application(parts, routers, [*layers, watch.wrap])
        transport = httpx2.ASGITransport(app=cast("Any", application.app), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield WebLab(client, gate, parts, application.app)
        watch.check()
