"""Serves an application in the loop that is running, on a socket of our own making, until it is told to end."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import uvicorn
from prometheus_client import Gauge

from flowforge.kit.errors import StorageError, ValidationError
from flowforge.web.frame import App

_BACKLOG: Final = 2_048
_IDLE_S: Final = 75
_START_S: Final = 10.0
_FRAME_BYTES_MAX: Final = 64 * 1024
_HEADERS_BYTES_MAX: Final = 64 * 1024


class _Server(uvicorn.Server):
    """Signals belong to the command that runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def open_listener(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises:
        ValidationError: the address is not one of this machine, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise ValidationError(f"FLOWFORGE_HOST names {host!r}, which cannot be listened on: {fault}.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as fault:
        listener.close()
        message = f"The server cannot listen on {host}:{port}: {fault.strerror}. Set FLOWFORGE_PORT to a free port, or to 0."
        raise ValidationError(message) from None
    return listener


def name_address(listener: socket.socket) -> str:
    """`host:port` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@asynccontextmanager
async def serve_application(
    app: App,
    listener: socket.socket,
    *,
    grace_s: float,
    on_closing: Callable[[], None],
    connections: Gauge | None = None,
) -> AsyncGenerator[None]:
    """Serves while the `with` lasts. Then nothing new is taken, and what is being answered gets `grace_s`.

    `on_closing` is called first: it ends what would never end by itself, like streams. `connections` shows how many are open.
    """
    config = uvicorn.Config(
        cast("Any", app),
        lifespan="off",
        loop="none",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=_FRAME_BYTES_MAX,
        ws_per_message_deflate=False,
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=_HEADERS_BYTES_MAX,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=max(1, int(grace_s)),
    )
    server = _Server(config)
    if connections is not None:
        connections.set_function(lambda: len(server.server_state.connections))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await _wait_started(server, serving)
        yield
    finally:
        on_closing()
        server.should_exit = True
        await serving


async def _wait_started(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    try:
        async with asyncio.timeout(_START_S):
            while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn has no event for it)
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise StorageError(f"The server did not begin to answer within {_START_S:g} s.") from None
    if serving.done():
        serving.result()
