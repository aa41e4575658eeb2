"""What is asked of a provider: bounded, guarded, and never guessed."""

import time
from typing import Any

import pytest
from tests.identity.oidc.conftest import LOGIN, SignInLab, code_of
from tests.identity.oidc.provider import KEY, OTHER_KEY
from tests.support.servers import HANG, Reply, drip, json_reply, redirect, send_endlessly

from flowforge.identity.oidc import ProviderAccessTokens
from flowforge.identity.oidc_calls import ProviderCalls, ProviderFailedError
from flowforge.identity.oidc_providers import AGE_S, Providers
from flowforge.identity.oidc_settings import NoRuntimeProviders, Provider
from flowforge.kit.clock import SystemClock
from flowforge.kit.egress import EgressClient, EgressPolicy
from flowforge.kit.limits import Limits

DISCOVERY = "/.well-known/openid-configuration"
ENDLESS = send_endlessly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + b"x" * 0x4000 + b"\r\n")


@pytest.fixture
def timeout_s() -> float:
    return 0.5


def count(lab: SignInLab, path: str) -> int:
    return sum(1 for request in lab.provider.server.received if request.path == path)


@pytest.mark.parametrize(
    "answer",
    [
        HANG,
        drip(0.05),
        ENDLESS,
        redirect("http://127.0.0.1:1/else"),
        Reply(500),
        Reply(200, (), b"no JSON"),
        Reply(200, (), b"[" * 100_000),
        json_reply([]),
        json_reply({"issuer": "https://other.example"}),
    ],
    ids=["slow", "dripping", "huge", "redirecting", "failing", "no_json", "deep", "no_object", "other_issuer"],
)
@pytest.mark.parametrize("path", [DISCOVERY, "/keys", "/token"])
async def test_tok_40_a_provider_that_misbehaves_signs_nobody_in(path: str, answer: Any, lab: SignInLab):
    lab.provider.server.on(path, answer)
    began = await lab.web.client.get(LOGIN)
    if path == DISCOVERY:
        assert code_of(began) == (424, "provider_failed")
        return
    finished = await lab.finish(lab.provider.authorize(str(began.headers["location"])))
    assert code_of(finished) == (424, "provider_failed")
    assert await lab.list_sessions() == []


async def test_tok_40_a_private_address_is_reached_only_where_it_is_allowed(lab: SignInLab):
    client = EgressClient(EgressPolicy.parse([]), Limits(), SystemClock())
    provider = Provider("default", "x", lab.provider.issuer, "me")
    with pytest.raises(ProviderFailedError, match=r"127\.0\.0\.1"):
        await ProviderCalls(client).discover(provider)
    assert lab.provider.server.received == []
    await client.aclose()


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "", None, 1, "https://", "javascript:alert(1)"])
async def test_tok_40_addresses_that_are_none_are_refused(name: str, url: Any, lab: SignInLab):
    lab.provider.discovery = {name: url}
    assert code_of(await lab.web.client.get(LOGIN)) == (424, "provider_failed")


async def test_tok_40_cached_keys_serve_within_their_age_and_not_beyond(lab: SignInLab):
    assert (await lab.sign_in()).status_code == 303
    lab.provider.server.on("/keys", Reply(503))
    lab.clock.advance(int((AGE_S - 1) * 1000))
    assert (await lab.sign_in()).status_code == 303
    assert count(lab, "/keys") == 1
    lab.clock.advance(2_000)
    assert code_of(await lab.sign_in()) == (424, "provider_failed")


async def test_tok_06_an_unknown_key_is_looked_for_once_a_minute(lab: SignInLab):
    assert (await lab.sign_in()).status_code == 303
    lab.provider.key = OTHER_KEY
    lab.provider.header = {"kid": OTHER_KEY.kid}
    lab.provider.keys = [OTHER_KEY]
    assert code_of(await lab.sign_in()) == (401, "provider_refused")
    assert count(lab, "/keys") == 1
    lab.clock.advance(60_000)
    assert (await lab.sign_in()).status_code == 303
    assert count(lab, "/keys") == 2


async def test_a_client_that_the_provider_does_not_know_is_our_fault_not_the_persons(lab: SignInLab):
    lab.provider.server.on("/token", json_reply({"error": "invalid_client"}, 401))
    answer = await lab.sign_in()
    assert code_of(answer) == (424, "provider_failed")
    assert "invalid_client" in answer.text


def make_tokens(lab: SignInLab) -> ProviderAccessTokens:
    return ProviderAccessTokens(lab.web.parts.ports[Providers], lab.web.parts.database, SystemClock())  # pyright: ignore[reportArgumentType]


async def test_an_access_token_of_the_provider_is_a_credential(lab: SignInLab):
    tokens = make_tokens(lab)
    claims = {"sub": "ann-1", "aud": "flowforge-api"}
    assert await tokens.find_person(lab.provider.sign(claims)) is None, "nobody becomes a person by a token alone"
    await lab.sign_in()
    found = await tokens.find_person(lab.provider.sign(claims))
    assert found is not None
    assert found[0] == (await lab.list_users())[0].id
    assert found[1] > time.time() * 1000


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"aud": "flowforge"}, {}),
        ({"aud": None}, {}),
        ({"nonce": "n"}, {}),
        ({}, {"typ": "logout+jwt"}),
        ({"exp": 1}, {}),
        ({"iss": "https://other.example"}, {}),
        ({"sub": "nobody"}, {}),
        ({}, {"kid": "../../x"}),
        ({}, {"crit": ["b64"], "b64": False}),
    ],
)
async def test_tok_13_other_tokens_of_the_provider_are_none(claims: dict[str, Any], header: dict[str, Any], lab: SignInLab):
    await lab.sign_in()
    tokens = make_tokens(lab)
    if "crit" in header:
        token = lab.provider.sign({"sub": "ann-1", "aud": "flowforge-api"})
        lab.provider.header = {"kid": KEY.kid}
        forged = token.replace(token.partition(".")[0], "eyJhbGciOiJub25lIn0")
        assert await tokens.find_person(forged) is None
        return
    lab.provider.header = header
    assert await tokens.find_person(lab.provider.sign({"sub": "ann-1", "aud": "flowforge-api"} | claims)) is None


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "é.é.é", "x" * 65_536, "." * 100, "eyJhbGciOiJub25lIn0.e30."])
async def test_tok_17_what_is_no_token_is_none(token: str, lab: SignInLab):
    assert await make_tokens(lab).find_person(token) is None
    assert lab.provider.server.received == []


async def test_no_provider_is_there_without_settings(lab: SignInLab):
    providers = Providers(
        lab.web.parts.settings.model_copy(update={"oidc_issuer": None}),
        ProviderCalls(EgressClient(EgressPolicy.parse([]), Limits(), SystemClock())),
        lab.clock,
        NoRuntimeProviders(),
    )
    assert await providers.list_providers() == []
