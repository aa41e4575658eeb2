from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx2
import pytest
from sqlalchemy import select
from tests.identity.oidc.provider import CLIENT_ID, CLIENT_SECRET, StubProvider
from tests.support.clock import ManualClock
from tests.support.servers import serve_http
from tests.support.web_lab import ANONYMOUS, WebLab, open_web_lab

from flowforge.identity.endpoints import oidc
from flowforge.identity.models_accounts import SessionRow, UserRow
from flowforge.identity.oidc_calls import ProviderCalls
from flowforge.identity.oidc_providers import Providers
from flowforge.identity.oidc_settings import NoRuntimeProviders
from flowforge.identity.session_contents import DatabaseContents, SessionContents
from flowforge.kit.clock import SystemClock
from flowforge.kit.egress import EgressClient, EgressPolicy
from flowforge.kit.limits import Limits
from flowforge.kit.settings import Settings

LOGIN = "/api/v1/auth/oidc/default/login"
CALLBACK = "/api/v1/auth/oidc/default/callback"


@dataclass
class SignInLab:
    """A server, a provider, and a browser between them. `clock`: that of the providers' keys alone."""

    web: WebLab
    provider: StubProvider
    clock: ManualClock

    async def begin(self, query: str = "") -> str:
        answer = await self.web.client.get(f"{LOGIN}{query}")
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    async def finish(self, query: str) -> httpx2.Response:
        return await self.web.client.get(f"{CALLBACK}?{query}")

    async def sign_in(self) -> httpx2.Response:
        return await self.finish(self.provider.authorize(await self.begin()))

    async def list_users(self) -> list[UserRow]:
        async with self.web.parts.database.read() as session:
            return [*(await session.scalars(select(UserRow).order_by(UserRow.id)))]

    async def list_sessions(self) -> list[SessionRow]:
        async with self.web.parts.database.read() as session:
            return [*(await session.scalars(select(SessionRow)))]


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["details"][0]["code"]


@pytest.fixture
def timeout_s() -> float:
    """How long a provider is waited for; short only where it is made to be late."""
    return 10.0


@pytest.fixture
async def lab(tmp_path: Path, timeout_s: float) -> AsyncGenerator[SignInLab]:
    async with serve_http() as server:
        stub, clock = StubProvider(server), ManualClock()
        settings = {
            "oidc_issuer": stub.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
            "oidc_audience": "flowforge-api",
            "first_owner_email": "Boss@example.com",
        }
        client = EgressClient(EgressPolicy.parse(["127.0.0.1"]), Limits(), SystemClock())
        calls = ProviderCalls(client, timeout_s=timeout_s)
        providers = Providers(Settings.model_validate(settings), calls, clock, NoRuntimeProviders())
        async with open_web_lab(tmp_path, [oidc.router], ports={Providers: providers}, settings=settings) as web:
            web.gate.caller = ANONYMOUS
            cast("dict[type, object]", web.parts.ports)[SessionContents] = DatabaseContents(web.parts.database)
            yield SignInLab(web, stub, clock)
        await client.aclose()
