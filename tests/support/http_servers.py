"""What answers a path of an `EffectServer`: a file whose connection breaks, an upload by tus, tokens for clients."""

import asyncio
import json
import ssl
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import trustme
from tests.support.attempts import Attempts, make_services
from tests.support.clock import ManualClock
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.servers import Answer, EffectServer, Misbehaviour, Received, Reply, json_reply, serve_http

from flowforge.steps.http.oauth import TokenCache


@dataclass
class FlakyFile:
    """A file that honours Range and If-Range; each number in `cuts` breaks one answer after so many bytes of its body."""

    content: bytes
    etag: str | None = '"v1"'
    cuts: list[int] = field(default_factory=list[int])
    knows_ranges: bool = True
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    ranges: list[str | None] = field(default_factory=list[str | None])
    """What was asked for, request by request."""
    versions: list[tuple[bytes, str]] = field(default_factory=list[tuple[bytes, str]])
    """What the file becomes after each break."""

    def __call__(self, request: Received) -> Answer:
        wanted = request.headers.get("range")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and self.knows_ranges else 0
        if request.headers.get("if-range") not in {None, self.etag, *(value for _, value in self.headers)}:
            start = 0
        headers = [*self.headers, *([("ETag", self.etag)] if self.etag else [])]
        if start and start >= len(self.content):
            return Reply(416, [*headers, ("Content-Range", f"bytes */{len(self.content)}")])
        status, body = (206, self.content[start:]) if start else (200, self.content)
        if status == 206:
            headers.append(("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"))
        if not self.cuts:
            return Reply(status, headers, body)
        answer = _cut(status, headers, body, self.cuts.pop(0))
        if self.versions:
            self.content, self.etag = self.versions.pop(0)
        return answer


def _cut(status: int, headers: list[tuple[str, str]], body: bytes, after_bytes: int) -> Misbehaviour:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body)}"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        writer.write(body[:after_bytes])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return Misbehaviour(act)


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del reader
    writer.close()
    await writer.wait_closed()


@dataclass
class TusServer:
    """Uploads by tus 1.0 below `/uploads`. Each number in `cuts` lets one PATCH end after so many of its bytes, without an answer."""

    cuts: list[int] = field(default_factory=list[int])
    uploads: dict[str, bytearray] = field(default_factory=dict[str, bytearray])
    metadata: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    by_key: dict[str, str] = field(default_factory=dict[str, str])
    location: str = ""
    """What stands before the path in Location: another host, or nothing."""
    is_lost: bool = False
    offset_told: str | None = None
    """Told instead of the true one."""

    def mount(self, server: EffectServer, count: int = 3) -> None:
        server.on("/uploads", self.create)
        for number in range(1, count + 1):
            server.on(f"/uploads/{number}", self.take)

    def create(self, request: Received) -> Reply:
        assert request.headers["tus-resumable"] == "1.0.0"
        path = self.by_key.setdefault(request.headers["idempotency-key"], f"/uploads/{len(self.uploads) + 1}")
        self.uploads.setdefault(path, bytearray())
        pairs = [pair.partition(" ") for pair in request.headers.get("upload-metadata", "").split(",") if pair]
        self.metadata[path] = {name: b64decode(value).decode() for name, _, value in pairs}
        return Reply(201, (("Tus-Resumable", "1.0.0"), ("Location", f"{self.location}{path}")))

    def take(self, request: Received) -> Answer:
        kept = self.uploads[request.path]
        if self.is_lost:
            return Reply(404)
        if request.method == "HEAD":
            return self._tell(200, len(kept))
        assert request.headers["content-type"] == "application/offset+octet-stream"
        if int(request.headers["upload-offset"]) != len(kept):
            return Reply(409)
        if self.cuts:
            kept += request.body[: self.cuts.pop(0)]
            return Misbehaviour(_close)
        kept += request.body
        return self._tell(204, len(kept))

    def _tell(self, status: int, offset: int) -> Reply:
        return Reply(status, (("Tus-Resumable", "1.0.0"), ("Upload-Offset", self.offset_told or str(offset))))


@dataclass
class TokenServer:
    """Gives tokens for client credentials, and checks them. `lives` says how long each holds, in seconds; the last one goes on."""

    client_id: str = "me"
    client_secret: str = "client-s3cret"
    lives: list[int | None] = field(default_factory=lambda: [3_600])
    given: list[str] = field(default_factory=list[str])
    forms: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    revoked: set[str] = field(default_factory=set[str])

    def give(self, request: Received) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.forms.append(form)
        sent = request.headers.get("authorization", "")
        pair = b64decode(sent.removeprefix("Basic ")).decode() if sent else f"{form.get('client_id')}:{form.get('client_secret')}"
        if pair != f"{self.client_id}:{self.client_secret}":
            return json_reply({"error": "invalid_client", "error_description": f"no such client ({pair})"}, 401)
        token = f"token-number-{len(self.given) + 1}"
        self.given.append(token)
        life = self.lives.pop(0) if len(self.lives) > 1 else self.lives[0]
        reply = {"access_token": token, "token_type": "Bearer"}
        return Reply(
            200,
            (("Content-Type", "application/json"),),
            json.dumps(reply | ({} if life is None else {"expires_in": life})).encode(),
        )

    def check(self, request: Received) -> Reply:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.given or token in self.revoked:
            return json_reply({"error": "invalid_token", "seen": token}, 401)
        return json_reply({"token": token, "received": len(request.body)})


@asynccontextmanager
async def open_hosts(folder: Path, *hosts: str) -> AsyncGenerator[tuple[EffectServer, Attempts]]:
    """One server over TLS behind all of the hosts, and attempts that can call them."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - stubs name an optional package
    trust = ssl.create_default_context()
    authority.configure_trust(trust)  # pyright: ignore[reportUnknownMemberType] - as above
    async with serve_http(context) as server:
        world = World(ports={443: server.port})
        for host in hosts:
            world.names.set(host, [PUBLIC_ADDRESS])
        client = world.make_client(tls=trust)
        services = {**make_services(folder, client), TokenCache: TokenCache(ManualClock())}
        yield server, Attempts(services)
        await client.aclose()
