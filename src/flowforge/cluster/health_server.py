"""Serves health pages in the loop that is running, on a socket of our own making."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import uvicorn

from flowforge.cluster.health import HealthPages
from flowforge.kit.errors import StorageError, ValidationError

_BACKLOG: Final = 64
_CONNECTIONS_MAX: Final = 100
_IDLE_S: Final = 5
_START_S: Final = 5.0
_ANY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 (compared, not listened on)


class _QuietServer(uvicorn.Server):
    """Signals belong to the command that runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serve_pages(pages: HealthPages, host: str, port: int) -> AsyncGenerator[str]:
    """Serves the pages while the `with` lasts; gives their address, `host:port`, as other machines may know it.

    Port 0 takes any that is free.

    Raises:
        ValidationError: the address is not one of this machine, or the port is taken.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        cast("Any", pages),
        lifespan="off",
        loop="none",
        http="h11",
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        limit_concurrency=_CONNECTIONS_MAX,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=1,
    )
    server = _QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await _wait_started(server, serving)
        yield _name_address(host, listener)
    finally:
        server.should_exit = True
        await serving


async def _wait_started(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    try:
        async with asyncio.timeout(_START_S):
            while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn has no event for it)
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise StorageError(f"The health pages did not begin to answer within {_START_S:g} s.") from None


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise ValidationError(f"FLOWFORGE_HOST names {host!r}, which cannot be listened on: {fault}.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as fault:
        listener.close()
        raise ValidationError(
            f"The health pages cannot listen on {host}:{port}: {fault.strerror}. Set FLOWFORGE_HEALTH_PORT to a free port, or to 0."
        ) from None
    return listener


def _name_address(host: str, listener: socket.socket) -> str:
    port = int(listener.getsockname()[1])
    name = socket.gethostname() if host in _ANY_ADDRESS else host
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
