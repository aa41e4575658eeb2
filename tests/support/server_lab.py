"""A whole embedded server in the test's own loop, on a real socket: engine, identity, all routes and duties."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
from tests.support.sessions import lend_database

from flowforge.engine.executor import Engine
from flowforge.entrypoints.running import open_engine
from flowforge.entrypoints.server.listening import open_listener
from flowforge.entrypoints.server.serving import OpenServer, open_embedded, prepare_embedded
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.identity.service import make_sign_in_link
from flowforge.kit.folder import open_data_folder
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings

PERMISSIONS: Final = (
    *("workflow:read", "workflow:create", "workflow:update", "workflow:publish", "workflow:start", "workflow:delete"),
    *("run:read", "run:operate", "run:cancel", "event:read", "event:manage"),
)
NOTE: Final[dict[str, Any]] = {
    "flowforge": 1,
    "name": "note",
    "steps": [{"id": "say", "uses": "log.write", "with": {"message": "hi"}}],
}
WAIT: Final[dict[str, Any]] = {
    "flowforge": 1,
    "name": "patient",
    "steps": [{"id": "hold", "uses": "flow.wait", "with": {"signal": "go"}}],
}


@dataclass
class ServerLab:
    """`client` is the owner's, with a session; `key` an API key of the owner."""

    installation: Installation
    engine: Engine
    server: OpenServer
    client: httpx2.AsyncClient
    key: str

    @property
    def url(self) -> str:
        return f"http://{self.server.address}"

    @property
    def socket_url(self) -> str:
        return f"ws://{self.server.address}/api/v1/live"

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    async def publish(self, document: Mapping[str, Any]) -> str:
        """Its id."""
        made = await self.client.post("/api/v1/workflows", json={"document": document})
        assert made.status_code == 201, made.text
        published = await self.client.post(f"/api/v1/workflows/{document['name']}/publish", json={})
        assert published.status_code == 201, published.text
        return str(made.json()["id"])

    async def start(self, body: Mapping[str, Any], query: str = "", **headers: str) -> httpx2.Response:
        """By the API key."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx2.AsyncClient(base_url=self.url, headers=self.bearer) as client:
            return await client.post(f"/api/v1/runs{query}", json=body, headers=told)

    async def make_key(self, *permissions: str) -> str:
        body = {"name": "test", "permissions": list(permissions), "expires_in": "30d", "tier": "enterprise"}
        made = await self.client.post("/api/v1/keys", json=body)
        assert made.status_code == 201, made.text
        return str(made.json()["key"])


@asynccontextmanager
async def open_server_lab(folder: Path, **settings: Any) -> AsyncGenerator[ServerLab]:
    """`settings`: by field name."""
    open_data_folder(folder)
    with lend_database("sqlite", folder):
        """A copy of a database of this version takes a hundredth of the time that the migrations take."""
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    installation = open_installation(Settings.model_validate({"data": folder, "port": port, **settings}))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(installation.aclose)
        tail, part = prepare_embedded(installation)
        engine = await stack.enter_async_context(
            open_engine(installation, name="up", takes_all=True, grace_ms=100, masker=Masker(), part=part)
        )
        server = await stack.enter_async_context(open_embedded(installation, engine, tail, listener))
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=f"http://{server.address}"))
        lab = ServerLab(installation, engine, server, client, "")
        await sign_in(lab)
        lab.key = await lab.make_key(*PERMISSIONS)
        yield lab


async def sign_in(lab: ServerLab) -> None:
    """By the link that `up` prints."""
    async with lab.installation.database.write.begin() as session:
        link = await make_sign_in_link(session, lab.installation.settings, now_ms=lab.installation.clock.now_ms())
    answer = await lab.client.post("/api/v1/auth/link", json={"token": link.partition("#token=")[2]}, headers={"origin": lab.url})
    assert answer.status_code == 200, answer.text
    lab.client.headers.update({"origin": lab.url, "x-csrf-token": lab.client.cookies["flowforge_csrf"]})


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Returns when it holds; looks at each pass of the loop."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def read_json(text: str | bytes) -> Any:
    return json.loads(text)
