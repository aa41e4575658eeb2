"""One request by one caller, and what its endpoint works with."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from flowforge.kit.clock import Clock
from flowforge.kit.errors import InvariantError
from flowforge.kit.ids import IdSource
from flowforge.kit.limits import Limits
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.web.callers import Caller
from flowforge.web.errors import PermissionMissingError
from flowforge.web.rates import Rates

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from flowforge.kit.database.session import Database
    from flowforge.kit.keyring import Keyring

PortT = TypeVar("PortT")


class Gate(Protocol):
    """Decides who is asking and whether they may: the only place where that happens."""

    async def admit(self, connection: HTTPConnection, guard: str) -> Caller:
        """The caller of a request to a route with this guard (a permission, or one of `callers.GUARDS`).

        Raises:
            NotSignedInError, PermissionMissingError, CsrfError, RateLimitedError, BadRequestError, NotFoundError: it is refused.
        """
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the endpoints of one process share. `ports`: what a domain asks for by a class of its own (see `Call.port`)."""

    settings: Settings
    database: "Database"
    keyring: "Keyring"
    clock: Clock
    ids: IdSource
    metrics: Metrics
    gate: Gate
    rates: Rates
    ports: Mapping[type, object] = field(default_factory=dict[type, object])

    def port(self, kind: type[PortT]) -> PortT:
        """What was wired under this class."""
        found = self.ports.get(kind)
        if found is None:
            raise InvariantError(f"{kind.__name__} is not wired into this server.")
        return cast("PortT", found)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was admitted."""

    parts: Parts
    caller: Caller
    request_id: str
    traceparent: str | None = None

    @property
    def workspace_id(self) -> str:
        return self.caller.workspace_id

    @property
    def actor(self) -> str:
        return self.caller.actor

    @property
    def limits(self) -> Limits:
        return self.parts.settings.limits

    @property
    def now_ms(self) -> int:
        return self.parts.clock.now_ms()

    def make_id(self, prefix: str) -> str:
        return self.parts.ids.make_id(prefix)

    def port(self, kind: type[PortT]) -> PortT:
        return self.parts.port(kind)

    def require(self, permission: str, project_id: str | None = None) -> None:
        """Raises PermissionMissingError unless the caller has the permission in the workspace (or in that project)."""
        if not self.caller.rights.allow(permission, project_id):
            raise PermissionMissingError(permission)

    @asynccontextmanager
    async def read(self) -> "AsyncGenerator[AsyncSession]":
        """A session that must not write."""
        async with self.parts.database.read() as session:
            yield session

    @asynccontextmanager
    async def report(self) -> "AsyncGenerator[AsyncSession]":
        """As `read`, for lists and figures, which may lag behind: on the replica, where there is one that answers."""
        async with self.parts.database.report() as session:
            yield session

    @asynccontextmanager
    async def change(self) -> "AsyncGenerator[AsyncSession]":
        """A transaction; at the end of the block it is committed, before the answer is sent."""
        async with self.parts.database.write.begin() as session:
            yield session


def find_call(connection: HTTPConnection) -> Call:
    """The call that the route's guard has admitted."""
    return cast("Call", connection.scope["state"]["call"])


CallIn = Annotated[Call, Depends(find_call)]
"""The endpoint's parameter: `async def list_things(call: CallIn) -> …`."""
