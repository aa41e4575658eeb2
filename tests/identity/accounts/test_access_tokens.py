"""Access and refresh tokens: everything that is not exactly ours is refused. List TOK of the bad input, class A17 of the attacks."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import HTTPConnection
from tests.support.accounts_lab import PASSWORD, AccountsLab
from tests.support.servers import serve_http

from flowforge.kit.signing import decode_base64url, encode_base64url


async def sign_in(lab: AccountsLab, email: str = "anna@example.com") -> dict[str, Any]:
    answer = await lab.open_browser().post("/auth/token", {"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ask(lab: AccountsLab, token: str) -> int:
    return (await lab.open_browser().get("/probes/who", origin="", authorization=f"Bearer {token}")).status_code


def read(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    header, claims, signature = token.split(".")
    return json.loads(decode_base64url(header)), json.loads(decode_base64url(claims)), decode_base64url(signature)


def write(lab: AccountsLab, header: Any, claims: Any) -> str:
    """A token with any header and claims, signed with our own key: only what it says is wrong."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    signed = ".".join(encode_base64url(part) for part in parts)
    return f"{signed}.{encode_base64url(lab.signing.sign(signed.encode())[1])}"


@pytest.fixture
async def token(lab: AccountsLab) -> str:
    await lab.add_person("anna@example.com", "owner")
    return (await sign_in(lab))["access_token"]


async def test_a_token_is_good_for_fifteen_minutes(lab: AccountsLab, token: str):
    header, claims, _ = read(token)
    assert header == {"alg": "EdDSA", "kid": lab.signing.current.id, "typ": "at+jwt"}
    assert claims["aud"] == "flowforge-api"
    assert claims["exp"] - claims["iat"] == 900
    assert await ask(lab, token) == 200
    lab.clock.advance(900_000 + 61_000)
    assert await ask(lab, token) == 401


async def test_anybody_can_read_the_public_keys(lab: AccountsLab, token: str):
    keys = (await lab.open_browser().get("//.well-known/jwks.json")).json()["keys"]
    assert keys == [lab.signing.current.show_jwk()]


async def test_tok_02_tokens_without_signature(lab: AccountsLab, token: str):
    for algorithm in ["none", "None", "nOnE", "NONE", "", "EdDSA"]:
        header, claims, _ = read(token)
        head = encode_base64url(json.dumps(header | {"alg": algorithm}).encode())
        body = encode_base64url(json.dumps(claims).encode())
        assert await ask(lab, f"{head}.{body}.") == 401
        assert await ask(lab, f"{head}.{body}.{'A' * 86}") == 401


async def test_tok_03_our_public_key_as_an_hmac_secret(lab: AccountsLab, token: str):
    header, claims, _ = read(token)
    signed = ".".join(encode_base64url(json.dumps(part).encode()) for part in (header | {"alg": "HS256"}, claims))
    for secret in (lab.signing.current.x.encode(), decode_base64url(lab.signing.current.x)):
        signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        assert await ask(lab, f"{signed}.{encode_base64url(signature)}") == 401


async def test_tok_04_a_key_in_the_token_itself(lab: AccountsLab, token: str):
    header, claims, _ = read(token)
    key = Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(key.public_key().public_bytes_raw())}
    signed = ".".join(encode_base64url(json.dumps(part).encode()) for part in (header | {"jwk": jwk}, claims))
    assert await ask(lab, f"{signed}.{encode_base64url(key.sign(signed.encode()))}") == 401
    assert await ask(lab, write(lab, header | {"jwk": jwk}, claims)) == 401


async def test_tok_05_an_address_in_the_header_is_never_asked(lab: AccountsLab, token: str):
    header, claims, _ = read(token)
    async with serve_http() as server:
        for name in ["jku", "x5u"]:
            assert await ask(lab, write(lab, header | {name: f"{server.url}/keys"}, claims)) == 401
        assert server.received == []
    assert await ask(lab, write(lab, header, claims)) == 200


async def test_tok_07_a_header_with_anything_else_in_it(lab: AccountsLab, token: str):
    header, claims, _ = read(token)
    forms: list[dict[str, Any]] = [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"x5c": []}]
    for more in forms:
        assert await ask(lab, write(lab, header | more, claims)) == 401, more
    for name in ["zip", "cty", "enc"]:
        assert await ask(lab, write(lab, header | {name: "DEF"}, claims)) == 401, name


async def test_tok_06_unknown_key_ids(lab: AccountsLab, token: str):
    for key_id in ["../../x", "' or 1=1", "unknown", "k" * 10_240, "", None, 7]:
        header, claims, _ = read(token)
        assert await ask(lab, write(lab, header | {"kid": key_id}, claims)) == 401


async def test_tok_08_signatures_of_zeros_and_other_forms_of_the_same(lab: AccountsLab, token: str):
    head, body, _ = token.split(".")
    signature = read(token)[2]
    order = 2**252 + 27742317777372353535851937790883648493
    malleable = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    for forged in (b"\0" * 64, malleable, signature[:32] + b"\0" * 32):
        assert await ask(lab, f"{head}.{body}.{encode_base64url(forged)}") == 401


async def test_tok_09_expiry_that_is_over_or_no_number(lab: AccountsLab, token: str):
    values: list[Any] = ["past", None, "1750000900", 1e400, 1750000900.5, True, [], -1]
    for value in values:
        header, claims, _ = read(token)
        expiry = claims["iat"] - 61 if value == "past" else value
        assert await ask(lab, write(lab, header, claims | {"exp": expiry})) == 401


async def test_tok_09_without_expiry(lab: AccountsLab, token: str):
    header, claims, _ = read(token)
    del claims["exp"]
    assert await ask(lab, write(lab, header, claims)) == 401
    assert await ask(lab, write(lab, header, json.dumps(claims).replace("}", ', "exp": 1e400}').encode())) == 401


async def test_tok_10_times_that_are_still_to_come(lab: AccountsLab, token: str):
    for name in ["nbf", "iat"]:
        header, claims, _ = read(token)
        assert await ask(lab, write(lab, header, claims | {name: claims[name] + 61})) == 401
        assert await ask(lab, write(lab, header, claims | {name: claims[name] + 59})) == 200


async def test_tok_11_other_audiences(lab: AccountsLab, token: str):
    for audience in ["other", ["flowforge-api", "other"], ["flowforge-api"], "", None, "FLOWFORGE-API", "flowforge-mcp"]:
        header, claims, _ = read(token)
        assert await ask(lab, write(lab, header, claims | {"aud": audience})) == 401
        del claims["aud"]
        assert await ask(lab, write(lab, header, claims)) == 401


async def test_tok_12_other_issuers(lab: AccountsLab, token: str):
    for change in ["{}/", "{}#", "other", ""]:
        header, claims, _ = read(token)
        assert await ask(lab, write(lab, header, claims | {"iss": change.format(claims["iss"])})) == 401
        assert await ask(lab, write(lab, header, claims | {"iss": claims["iss"].upper()})) == 401


async def test_tok_13_tokens_of_another_use(lab: AccountsLab, token: str):
    for kind in ["JWT", "jwt", "AT+JWT", "id+jwt", "application/at+jwt", "", None]:
        header, claims, _ = read(token)
        assert await ask(lab, write(lab, header | {"typ": kind}, claims)) == 401


async def test_tok_13_a_refresh_token_is_no_access_token(lab: AccountsLab):
    await lab.add_person("anna@example.com", "owner")
    pair = await sign_in(lab)
    assert await ask(lab, pair["refresh_token"]) == 401
    refreshed = await lab.open_browser().post("/auth/refresh", {"refresh_token": pair["access_token"][:200]})
    assert refreshed.status_code == 401


async def test_tok_14_a_token_of_a_disabled_or_deleted_person_is_refused_at_once(lab: AccountsLab, token: str):
    boss = await lab.enter("boss@example.com")
    for email, method, path in (
        ("bob@example.com", "POST", "/disable"),
        ("cleo@example.com", "DELETE", ""),
    ):
        user_id = await lab.add_person(email, "viewer")
        pair = await sign_in(lab, email)
        assert await ask(lab, pair["access_token"]) == 200
        assert (await boss.send(method, f"/users/{user_id}{path}")).status_code in {200, 204}
        assert await ask(lab, pair["access_token"]) == 401
        again = await lab.open_browser().post("/auth/refresh", {"refresh_token": pair["refresh_token"]})
        assert again.status_code == 401


async def test_tok_14_an_open_stream_learns_that_its_person_is_gone(lab: AccountsLab, token: str):
    pair = await sign_in(lab)
    boss = await lab.enter("boss@example.com")
    claims = read(pair["access_token"])[1]
    gate = lab.accounts.gate
    connection = make_connection({"authorization": f"Bearer {pair['access_token']}"})
    caller = await gate.admit(connection, "signed_in")
    assert await gate.is_still_good(caller)
    await boss.send("DELETE", f"/users/{claims['sub']}/sessions")
    lab.clock.advance(7_000)
    assert not await gate.is_still_good(caller)


def make_connection(headers: dict[str, str]) -> Any:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": raw, "query_string": b"", "client": ("127.0.0.1", 1)}
    return HTTPConnection(scope | {"scheme": "http", "server": ("127.0.0.1", 8000), "state": {}})


async def test_tok_15_signing_out_everywhere_ends_tokens(lab: AccountsLab, token: str):
    anna = lab.open_browser()
    await anna.sign_in("anna@example.com")
    assert await ask(lab, token) == 200
    assert (await anna.send("DELETE", "/me/sessions")).status_code == 204
    assert await ask(lab, token) == 401


async def test_tok_15_a_refresh_token_used_twice_ends_its_family(lab: AccountsLab):
    await lab.add_person("anna@example.com", "owner")
    first = await sign_in(lab)
    other = await sign_in(lab)
    browser = lab.open_browser()
    second = (await browser.post("/auth/refresh", {"refresh_token": first["refresh_token"]})).json()
    assert await ask(lab, second["access_token"]) == 200
    assert (await browser.post("/auth/refresh", {"refresh_token": first["refresh_token"]})).status_code == 401
    assert await ask(lab, second["access_token"]) == 401
    assert await ask(lab, first["access_token"]) == 401
    assert (await browser.post("/auth/refresh", {"refresh_token": second["refresh_token"]})).status_code == 401
    assert await ask(lab, other["access_token"]) == 200
    assert "session.ended" in await lab.list_actions()


async def test_a_program_signs_out(lab: AccountsLab):
    await lab.add_person("anna@example.com", "owner")
    pair = await sign_in(lab)
    browser = lab.open_browser()
    assert (await browser.post("/auth/revoke", {"refresh_token": pair["refresh_token"]})).status_code == 204
    assert await ask(lab, pair["access_token"]) == 401
    assert (await browser.post("/auth/revoke", {"refresh_token": "unknown"})).status_code == 204


async def test_a_refresh_token_ends_after_thirty_days(lab: AccountsLab):
    await lab.add_person("anna@example.com", "owner")
    pair = await sign_in(lab)
    lab.clock.advance(30 * 86_400_000)
    assert (await lab.open_browser().post("/auth/refresh", {"refresh_token": pair["refresh_token"]})).status_code == 401


async def test_tok_16_repeated_claims(lab: AccountsLab, token: str):
    header, claims, _ = read(token)
    doubled = json.dumps(claims)[:-1] + ', "sub": "usr_other"}'
    assert await ask(lab, write(lab, header, doubled.encode())) == 401
    head = json.dumps(header)[:-1] + ', "alg": "EdDSA"}'
    assert await ask(lab, write(lab, head.encode(), claims)) == 401


async def test_tok_17_bombs_and_other_shapes(lab: AccountsLab, token: str, monkeypatch: pytest.MonkeyPatch):
    """None of them costs the verification of a signature, and nothing of them is unpacked."""
    verified: list[str] = []
    verify = lab.signing.verify

    def count(key_id: str, data: bytes, signature: bytes) -> bool:
        verified.append(key_id)
        return verify(key_id, data, signature)

    monkeypatch.setattr(lab.signing, "verify", count)
    assert await ask(lab, token) == 200
    assert len(verified) == 1
    nested = encode_base64url(b"[" * 2_000)
    packed = write(lab, {**read(token)[0], "zip": "DEF"}, read(token)[1])
    shapes = ["a.b.c.d.e", ".".join("a" * 100), "A" * 65_536 + ".b.c", "..", "a..", "[[[[.b.c", "e30.e30." + "A" * 86]
    for text in [*shapes, f"{nested}.{nested}.{'A' * 86}", packed]:
        assert await ask(lab, text) in {401, 431}, text[:40]
    assert len(verified) == 1


async def test_tok_18_other_writings_of_the_same_signature(lab: AccountsLab, token: str):
    head, body, signature = token.split(".")
    raw = decode_base64url(signature)
    standard = signature.replace("-", "+").replace("_", "/")
    # The last character holds four bits only: another one can decode to the same bytes.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    loose = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
    assert decode_base64url(loose) == raw
    forms = [signature + "==", signature + " ", " " + signature, loose, urlsafe_b64encode(raw).decode()]
    for form in forms if standard == signature else [*forms, standard]:
        assert await ask(lab, f"{head}.{body}.{form}") == 401, form
