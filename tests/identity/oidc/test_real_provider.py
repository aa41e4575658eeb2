"""Sign-in by a provider that others wrote, over a real connection."""

import warnings
from collections.abc import AsyncGenerator, Generator
from importlib import import_module
from pathlib import Path
from typing import cast

import httpx2
import pytest
from sqlalchemy import select
from tests.support.web_lab import ANONYMOUS, WebLab, open_web_lab

from flowforge.identity.endpoints import oidc
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.oidc_calls import ProviderCalls
from flowforge.identity.oidc_providers import Providers
from flowforge.identity.oidc_settings import NoRuntimeProviders
from flowforge.identity.session_contents import DatabaseContents, SessionContents
from flowforge.kit.clock import SystemClock
from flowforge.kit.egress import EgressClient, EgressPolicy
from flowforge.kit.limits import Limits
from flowforge.kit.settings import Settings

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::UserWarning")]


@pytest.fixture
def issuer() -> Generator[str]:
    with warnings.catch_warnings(action="ignore"):  # its own dependencies warn of themselves
        import_module("authlib.deprecate")  # it switches its own warnings on when it is imported

        warnings.simplefilter("ignore")
        from oidc_provider_mock import User, run_server_in_thread

        ann = User(sub="ann", claims={"email": "ann@example.com", "email_verified": True, "name": "Ann"})
        with run_server_in_thread(user_claims=[ann], require_nonce=True) as server:
            yield f"http://localhost:{server.server_port}"


@pytest.fixture
async def lab(issuer: str, tmp_path: Path) -> AsyncGenerator[WebLab]:
    settings = {"oidc_issuer": issuer, "oidc_client_id": "flowforge", "oidc_client_secret": "any"}
    client = EgressClient(EgressPolicy.parse(["localhost"]), Limits(), SystemClock())
    providers = Providers(Settings.model_validate(settings), ProviderCalls(client), SystemClock(), NoRuntimeProviders())
    async with open_web_lab(tmp_path, [oidc.router], ports={Providers: providers}, settings=settings) as lab:
        lab.gate.caller = ANONYMOUS
        cast("dict[type, object]", lab.parts.ports)[SessionContents] = DatabaseContents(lab.parts.database)
        yield lab
    await client.aclose()


async def test_a_person_signs_in_at_a_real_provider(lab: WebLab):
    began = await lab.client.get("/api/v1/auth/oidc/default/login?next=/runs")
    async with httpx2.AsyncClient() as browser:
        agreed = await browser.post(str(began.headers["location"]), data={"sub": "ann"})
    assert agreed.status_code == 302, agreed.text
    back = str(agreed.headers["location"])
    assert back.startswith("http://127.0.0.1:8000/api/v1/auth/oidc/default/callback?")
    answer = await lab.client.get(back)
    assert (answer.status_code, answer.headers.get("location")) == (303, "/runs"), answer.text
    async with lab.parts.database.read() as session:
        (user,) = await session.scalars(select(UserRow))
    assert (user.subject, user.email, user.name) == ("ann", "ann@example.com", "Ann")
