"""Tokens by client credentials, digests, client certificates."""

import asyncio
import hashlib
import re
import ssl
from pathlib import Path

import pytest
import trustme
from tests.steps.http.calls import SECRET, call, is_retried, refuse
from tests.support.attempts import Attempts, make_services
from tests.support.clock import ManualClock
from tests.support.http_servers import TokenServer
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.servers import EffectServer, Received, Reply, json_reply, redirect, serve_http

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import InvalidParametersError, find_target, validate_parameters
from flowforge.steps.http.digest_auth import Challenge, Use, answer_challenge
from flowforge.steps.http.request import request as http_request

TOKEN_URL = "http://api.example/token"


@pytest.fixture
def tokens(server: EffectServer) -> TokenServer:
    tokens = TokenServer()
    server.on("/token", tokens.give)
    server.on("/data", tokens.check)
    return tokens


def sign_in(**more: JsonValue) -> JsonObject:
    return {"oauth2": {"token_url": TOKEN_URL, "client_id": "me", "client_secret": "client-s3cret", **more}}


async def test_a_token_is_fetched_once_and_kept(attempts: Attempts, tokens: TokenServer, clock: ManualClock):
    for _ in range(3):
        await call(attempts, http_request, "/data", auth=sign_in(scope="a b", audience="https://api"))
    assert tokens.forms == [{"grant_type": "client_credentials", "scope": "a b", "audience": "https://api"}]
    clock.advance(3_569_000)
    await call(attempts, http_request, "/data", auth=sign_in(scope="a b", audience="https://api"))
    assert len(tokens.given) == 1
    clock.advance(1_001)
    await call(attempts, http_request, "/data", auth=sign_in(scope="a b", audience="https://api"))
    assert len(tokens.given) == 2


async def test_who_asks_for_something_else_gets_another_token(attempts: Attempts, tokens: TokenServer):
    await call(attempts, http_request, "/data", auth=sign_in())
    await call(attempts, http_request, "/data", auth=sign_in(scope="b"))
    await call(attempts, http_request, "/data", auth=sign_in(style="body"))
    assert len(tokens.given) == 3
    assert tokens.forms[2] == {"grant_type": "client_credentials", "client_id": "me", "client_secret": "client-s3cret"}


async def test_many_at_once_fetch_one_token(attempts: Attempts, tokens: TokenServer):
    await asyncio.gather(*(call(attempts, http_request, "/data", auth=sign_in()) for _ in range(10)))
    assert len(tokens.given) == 1


@pytest.mark.parametrize(("life", "fetched"), [(None, 1), (30, 3), (31, 1), (0, 3)])
async def test_a_token_that_is_about_to_expire_is_not_kept(
    life: int | None, fetched: int, attempts: Attempts, tokens: TokenServer
):
    tokens.lives = [life]
    for _ in range(3):
        await call(attempts, http_request, "/data", auth=sign_in())
    assert len(tokens.given) == fetched


async def test_a_token_that_the_server_does_not_take_is_fetched_anew_once(
    attempts: Attempts, tokens: TokenServer, server: EffectServer
):
    await call(attempts, http_request, "/data", auth=sign_in())
    tokens.revoked = {"token-number-1"}
    output = await call(attempts, http_request, "/data", method="POST", text="body", auth=sign_in())
    assert output["body"] == {"token": "***", "received": 4}
    assert [sent.path for sent in server.received] == ["/token", "/data", "/data", "/token", "/data"]
    tokens.revoked = {"token-number-2", "token-number-3"}
    assert (await refuse(attempts, http_request, "/data", auth=sign_in())).code == "http_401"
    assert len(tokens.given) == 3


async def test_a_fresh_token_that_is_refused_is_not_fetched_again(attempts: Attempts, tokens: TokenServer):
    tokens.revoked = {"token-number-1"}
    error = await refuse(attempts, http_request, "/data", auth=sign_in())
    assert (error.code, len(tokens.given)) == ("http_401", 1)
    assert "token-number" not in f"{error.message} {error.details}"


async def test_a_refused_client_is_told_without_its_secret(attempts: Attempts, tokens: TokenServer, server: EffectServer):
    error = await refuse(attempts, http_request, "/data", auth=sign_in(client_secret=SECRET))
    assert (error.code, is_retried(error)) == ("oauth2_refused", False)
    assert "invalid_client" in error.message
    assert "s3cr" not in error.message
    assert [sent.path for sent in server.received] == ["/token"]


TOKEN_ANSWERS: dict[str, tuple[Reply, str, bool]] = {
    "503": (json_reply({}, 503), "oauth2_failed", True),
    "429": (json_reply({}, 429), "oauth2_failed", True),
    "html": (Reply(200, (("Content-Type", "text/html"),), b"<html>"), "oauth2_refused", False),
    "no token": (json_reply({"token_type": "bearer"}), "oauth2_refused", False),
    "a line break": (json_reply({"access_token": "a\r\nX: y"}), "oauth2_refused", False),
    "another type": (json_reply({"access_token": "abcd", "token_type": "mac"}), "oauth2_refused", False),
    "a redirect": (redirect("http://other.example:8080/token"), "oauth2_refused", False),
}


@pytest.mark.parametrize(("reply", "code", "is_passing"), TOKEN_ANSWERS.values(), ids=TOKEN_ANSWERS.keys())
async def test_no_token_no_request(
    reply: Reply,
    code: str,
    is_passing: bool,
    attempts: Attempts,
    server: EffectServer,
    other_server: EffectServer,
):
    server.on("/token", reply)
    error = await refuse(attempts, http_request, "/data", auth=sign_in())
    assert (error.code, is_retried(error)) == (code, is_passing)
    assert [sent.path for sent in server.received] == ["/token"]
    assert other_server.received == []


async def test_a_token_is_dropped_when_a_redirect_leads_away(
    attempts: Attempts, tokens: TokenServer, server: EffectServer, other_server: EffectServer
):
    server.on("/away", redirect("http://other.example:8080/data"))
    other_server.on("/data", json_reply(None, 401))
    assert (await refuse(attempts, http_request, "/away", auth=sign_in())).code == "http_401"
    assert len(tokens.given) == 1
    assert ["authorization" in sent.headers for sent in other_server.received] == [False]


def test_a10_a_bound_secret_goes_to_one_host_only():
    parameters: JsonObject = {"url": "http://api.example/x", "auth": sign_in()}
    assert find_target(http_request, parameters) == "api.example"
    assert find_target(http_request, {**parameters, "url": "http://other.example/"}) is None
    assert find_target(http_request, {**parameters, "auth": None}) == "api.example"


@pytest.mark.parametrize(
    ("algorithm", "realm", "nonce", "opaque", "response"),
    [
        (
            "SHA-256",
            "http-auth@example.org",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (
            "MD5",
            "http-auth@example.org",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
    ],
)
def test_digests_are_those_of_rfc_7616_3_9_1(
    algorithm: str, realm: str, nonce: str, opaque: str, response: str, monkeypatch: pytest.MonkeyPatch
):
    # The RFC's example has a nonce of the client that is given.
    def make_nonce(seed: str, nonce: str) -> str:
        return "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

    monkeypatch.setattr("flowforge.steps.http.digest_auth._make_nonce", make_nonce)
    challenge = Challenge(realm, nonce, algorithm, opaque, has_quality=True)
    written = answer_challenge(challenge, "Mufasa", "Circle of Life", Use("GET", "/dir/index.html", 1, "seed"))
    assert f'response="{response}"' in written
    assert f'opaque="{opaque}"' in written


def check_digest(request: Received) -> Reply:
    """A server's side, written from RFC 7616 anew."""
    sent = dict(re.findall(r'(\w+)="?([^",]*)"?', request.headers.get("authorization", "")))
    if not sent:
        headers = (
            ("WWW-Authenticate", 'Digest realm="r", nonce="n1", qop="auth", algorithm=MD5'),
            ("WWW-Authenticate", 'Digest realm="r", nonce="n2", qop="auth", algorithm=SHA-256'),
        )
        return Reply(401, headers)

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    middle = f"n2:{sent['nc']}:{sent['cnonce']}:auth"
    expected = digest(f"{digest('me:r:pw')}:{middle}:{digest(f'{request.method}:{request.target}')}")
    return json_reply({"count": sent["nc"]}, 200 if sent["response"] == expected and sent["uri"] == request.target else 403)


async def test_a_digest_answers_the_best_challenge(attempts: Attempts, server: EffectServer):
    server.on("/x", check_digest)
    auth: JsonObject = {"digest": {"user": "me", "password": "pw"}}
    output = await call(attempts, http_request, "/x", method="POST", text="a", query={"q": "ä b"}, auth=auth)
    assert (output["body"], len(server.received)) == ({"count": "00000001"}, 2)


async def test_a_digest_that_is_wrong_ends_after_one_answer(attempts: Attempts, server: EffectServer):
    server.on("/x", Reply(401, (("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"'),)))
    auth: JsonObject = {"digest": {"user": "me", "password": SECRET}}
    assert (await refuse(attempts, http_request, "/x", auth=auth)).code == "http_401"
    assert len(server.received) == 2


@pytest.mark.parametrize("header", ["Basic realm=x", 'Digest realm="r"', 'Digest realm="r", nonce="n", algorithm=X', ""])
async def test_a_challenge_that_cannot_be_answered_is_not(header: str, attempts: Attempts, server: EffectServer):
    server.on("/x", Reply(401, (("WWW-Authenticate", header),)))
    auth: JsonObject = {"digest": {"user": "me", "password": "pw"}}
    assert (await refuse(attempts, http_request, "/x", auth=auth)).code == "http_401"
    assert len(server.received) == 1


async def test_a_client_certificate_and_an_authority_of_ones_own(tmp_path: Path):
    authority, clients = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - stubs name an optional package
    clients.configure_trust(context)  # pyright: ignore[reportUnknownMemberType] - as above
    context.verify_mode = ssl.CERT_REQUIRED
    shown = clients.issue_cert("me@example.com")
    certificate: JsonObject = {
        "certificate": shown.cert_chain_pems[0].bytes().decode(),
        "key": shown.private_key_pem.bytes().decode(),
    }
    trusted = authority.cert_pem.bytes().decode()
    async with serve_http(context) as server:
        world = World(ports={443: server.port})
        world.names.set("api.example", [PUBLIC_ADDRESS])
        client = world.make_client()
        attempts = Attempts(make_services(tmp_path, client))
        parameters: JsonObject = {"url": "https://api.example/", "authority": trusted}
        with pytest.raises(Exception, match="certificate") as caught:
            await attempts.call(http_request, {"url": "https://api.example/", "client_certificate": certificate})
        assert getattr(caught.value, "code", "") == "tls"
        output = await attempts.call(http_request, {**parameters, "client_certificate": certificate})
        await client.aclose()
    assert isinstance(output, dict)
    assert output["status"] == 200


FAULTY: dict[str, JsonObject] = {
    "no PEM": {"client_certificate": {"certificate": "x", "key": "y"}},
    "no secret": {"auth": {"oauth2": {"token_url": "http://x/", "client_id": "a"}}},
    "two ways": {"auth": {"bearer": "a", "oauth2": {"token_url": "http://x/", "client_id": "a", "client_secret": "b"}}},
}


@pytest.mark.parametrize("parameters", FAULTY.values(), ids=FAULTY.keys())
def test_faulty_credentials_are_refused_without_showing_them(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(http_request, {"url": "http://api.example/", **parameters})
