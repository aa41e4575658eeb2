"""A store that speaks as S3 does, in this process (moto), behind the names of a World."""

import os
import ssl
import threading
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock
from urllib.request import Request, urlopen
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import trustme
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from tests.support.attempts import Attempts, make_services
from tests.support.network import PUBLIC_ADDRESS, World
from werkzeug.serving import WSGIRequestHandler, make_server

from flowforge.kit.egress.tunnel import EgressTunnel
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject

BUCKET = "reports"
HOST = "s3.example.com"


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the library's signature
        del type, message, args


@contextmanager
def serve_s3(tls: ssl.SSLContext | None = None, buckets: Sequence[str] = (BUCKET,)) -> Generator[int]:
    """Serves on loopback, with empty buckets; its port."""
    server = make_server(
        "127.0.0.1",
        0,
        _serve_under_our_name(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=_Quiet,
        ssl_context=tls,
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        reset(server.port, tls)
        for bucket in buckets:
            _send("PUT", server.port, f"/{bucket}", tls)
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _serve_under_our_name(application: WSGIApplication) -> WSGIApplication:
    """moto finds the bucket in the path, or in the host, at Amazon's name only."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").partition(":")[0]
        bucket = host.removesuffix(HOST) if host.endswith(f".{HOST}") else ""
        return application({**environ, "HTTP_HOST": f"{bucket}s3.amazonaws.com"}, start_response)

    return serve


def reset(port: int, tls: ssl.SSLContext | None) -> None:
    """moto keeps its state in the process: what another test left is thrown away."""
    _send("POST", port, "/moto-api/reset", tls)


def _send(method: str, port: int, path: str, tls: ssl.SSLContext | None) -> None:
    context = None
    if tls is not None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    scheme = "http" if tls is None else "https"
    with urlopen(Request(f"{scheme}://127.0.0.1:{port}{path}", data=b"", method=method), context=context, timeout=20) as answer:
        answer.read()


@dataclass
class Bucket:
    """The bucket of a test, and all that calls need."""

    attempts: Attempts
    world: World
    port: int

    def store(self, **more: str) -> JsonObject:
        """The parameter `store`."""
        return {"endpoint": f"http://{HOST}", "bucket": BUCKET, "access_key": "AKIDEXAMPLE", "secret_key": "secret-key-1", **more}


@asynccontextmanager
async def open_bucket(folder: Path, *, allow: Sequence[str] = (), limits: Limits | None = None) -> AsyncGenerator[Bucket]:
    """`http://s3.example.com` leads to a fresh bucket."""
    with serve_s3() as port:
        world = World(ports={80: port, 443: port, 8080: port})
        world.names.set(HOST, [PUBLIC_ADDRESS])
        async with _open_attempts(folder, world, allow, limits) as attempts:
            yield Bucket(attempts, world, port)


@asynccontextmanager
async def open_trusted_bucket(folder: Path) -> AsyncGenerator[Bucket]:
    """As `open_bucket`, at `https://s3.example.com`, whose certificate this process trusts meanwhile."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(tls)  # pyright: ignore[reportUnknownMemberType] - stubs name an optional package
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    with serve_s3(tls) as port, mock.patch.dict(os.environ, {"SSL_CERT_FILE": str(trusted)}):
        world = World(ports={443: port})
        world.names.set(HOST, [PUBLIC_ADDRESS])
        async with _open_attempts(folder, world, (), None) as attempts:
            yield Bucket(attempts, world, port)


@asynccontextmanager
async def _open_attempts(folder: Path, world: World, allow: Sequence[str], limits: Limits | None) -> AsyncGenerator[Attempts]:
    client = world.make_client(allow, limits=limits)
    tunnel = EgressTunnel(client)
    try:
        yield Attempts({**make_services(folder, client), EgressTunnel: tunnel}, limits=limits)
    finally:
        await tunnel.aclose()
        await client.aclose()
