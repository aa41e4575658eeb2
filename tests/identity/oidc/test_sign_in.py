"""Sign-in by a provider: who gets a session, and who does not."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select
from tests.identity.oidc.conftest import SignInLab, code_of
from tests.identity.oidc.provider import CLIENT_ID, OTHER_KEY
from tests.support.people import make_person

from flowforge.audit.models import AuditRow
from flowforge.identity.oidc_state import UNDER_WAY_MS, read_next
from flowforge.identity.owners import list_owner_ids


async def test_a_person_signs_in_and_gets_a_session(lab: SignInLab):
    location = await lab.begin("?next=/runs%3Fstatus=failed")
    asked = dict(parse_qsl(urlsplit(location).query))
    assert asked["client_id"] == CLIENT_ID
    assert asked["redirect_uri"] == "http://127.0.0.1:8000/api/v1/auth/oidc/default/callback"
    assert asked["code_challenge_method"] == "S256"
    answer = await lab.finish(lab.provider.authorize(location))
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?status=failed")
    cookies = answer.headers.get_list("set-cookie")
    assert any(cookie.startswith("flowforge_sid=") and "HttpOnly" in cookie for cookie in cookies)
    assert any(cookie.startswith("flowforge_oidc=;") for cookie in cookies)
    (user,) = await lab.list_users()
    assert (user.issuer, user.subject, user.email, user.name) == (lab.provider.issuer, "ann-1", "ann@example.com", "Ann")
    assert [row.user_id for row in await lab.list_sessions()] == [user.id]


async def test_the_same_person_comes_again_by_issuer_and_subject(lab: SignInLab):
    await lab.sign_in()
    lab.provider.person = {"sub": "ann-1", "email": "new@example.com", "email_verified": True}
    assert (await lab.sign_in()).status_code == 303
    assert len(await lab.list_users()) == 1
    assert len(await lab.list_sessions()) == 2


async def test_what_the_id_token_lacks_is_asked_of_the_userinfo_endpoint(lab: SignInLab):
    lab.provider.person = {"sub": "ann-1"}
    lab.provider.userinfo = {"sub": "ann-1", "email": "ann@example.com", "email_verified": True, "name": "Ann"}
    assert (await lab.sign_in()).status_code == 303
    (user,) = await lab.list_users()
    assert (user.subject, user.email, user.name) == ("ann-1", "ann@example.com", "Ann")
    # Who is known needs no email: an endpoint that fails keeps nobody out.
    lab.provider.userinfo = {}
    assert (await lab.sign_in()).status_code == 303
    assert len(await lab.list_sessions()) == 2


async def test_a_userinfo_endpoint_that_speaks_of_somebody_else_signs_nobody_in(lab: SignInLab):
    lab.provider.person = {"sub": "ann-1"}
    lab.provider.userinfo = {"sub": "bob-2", "email": "boss@example.com", "email_verified": True}
    assert code_of(await lab.sign_in()) == (401, "provider_refused")
    assert await lab.list_users() == []


async def test_an_unknown_provider_is_not_found(lab: SignInLab):
    assert code_of(await lab.web.client.get("/api/v1/auth/oidc/other/login")) == (404, "provider_unknown")


async def test_tok_36_a_wrong_missing_or_replayed_state_is_refused(lab: SignInLab):
    good = lab.provider.authorize(await lab.begin(), session_state="something", hd="example.com")
    foreign = good.replace("state=", "state=x")
    assert code_of(await lab.finish(foreign)) == (400, "state")
    assert code_of(await lab.finish(good)) == (400, "state")
    assert code_of(await lab.finish("code=code-0")) == (400, "state")
    good = lab.provider.authorize(await lab.begin(), session_state="something", hd="example.com")
    cookies = dict(lab.web.client.cookies)
    assert (await lab.finish(good)).status_code == 303
    assert code_of(await lab.finish(good)) == (400, "state")
    lab.web.client.cookies.update(cookies)
    assert code_of(await lab.finish(good)) == (400, "state")
    assert len(await lab.list_sessions()) == 1


async def test_tok_36_a_state_of_another_browser_is_refused(lab: SignInLab):
    """Login CSRF: somebody else's callback address, opened by the victim."""
    query = lab.provider.authorize(await lab.begin())
    lab.web.client.cookies.clear()
    assert code_of(await lab.finish(query)) == (400, "state")
    for forged in ("", "x", "k_0.AAAA", "é", "k_0." + "A" * 200):
        headers = {b"cookie": f"flowforge_oidc={forged}".encode()}
        answer = await lab.web.client.get(f"/api/v1/auth/oidc/default/callback?{query}", headers=headers)
        assert code_of(answer) == (400, "state")
    assert await lab.list_sessions() == []


async def test_tok_36_a_state_that_is_old_is_refused(lab: SignInLab, monkeypatch: pytest.MonkeyPatch):
    query = lab.provider.authorize(await lab.begin())
    late_ms = lab.web.parts.clock.now_ms() + UNDER_WAY_MS + 1

    def read_late(_: object) -> int:
        return late_ms

    monkeypatch.setattr(type(lab.web.parts.clock), "now_ms", read_late)
    assert code_of(await lab.finish(query)) == (400, "state")


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "somebody-else"},
        {"aud": [CLIENT_ID, "somebody-else"]},
        {"aud": None},
        {"azp": "somebody-else"},
        {"iss": "https://other.example"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a" * 256},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": 9_999_999_999},
        {"nbf": 9_999_999_999},
    ],
)
async def test_tok_37_an_id_token_that_says_something_else_is_refused(changes: dict[str, Any], lab: SignInLab):
    lab.provider.changes = changes
    assert code_of(await lab.sign_in()) == (401, "provider_refused")
    assert await lab.list_sessions() == []
    assert await lab.list_users() == []


async def test_tok_37_a_code_for_another_client_or_verifier_is_refused(lab: SignInLab):
    lab.provider.client_of_code = "somebody-else"
    assert code_of(await lab.sign_in()) == (401, "provider_refused")
    lab.provider.client_of_code = None
    first = lab.provider.authorize(await lab.begin())
    second = lab.provider.authorize(await lab.begin())
    # The code of the first sign-in with the state of the second: its verifier is another one.
    mixed = f"code={dict(parse_qsl(first))['code']}&state={dict(parse_qsl(second))['state']}"
    assert code_of(await lab.finish(mixed)) == (401, "provider_refused")
    assert code_of(await lab.finish(f"state={dict(parse_qsl(second))['state']}")) == (400, "state")
    assert await lab.list_sessions() == []


async def test_tok_37_a_signature_that_is_not_the_providers_is_refused(lab: SignInLab):
    lab.provider.key = OTHER_KEY
    lab.provider.header = {"kid": lab.provider.keys[0].kid}
    assert code_of(await lab.sign_in()) == (401, "provider_refused")
    lab.provider.header = {"jwk": OTHER_KEY.as_dict(private=False)}
    assert code_of(await lab.sign_in()) == (401, "provider_refused")


async def test_tok_38_the_answer_of_another_provider_is_refused(lab: SignInLab):
    query = lab.provider.authorize(await lab.begin(), iss="https://other.example")
    assert code_of(await lab.finish(query)) == (401, "provider_refused")
    query = lab.provider.authorize(await lab.begin(), iss=lab.provider.issuer)
    assert (await lab.finish(query)).status_code == 303


async def test_tok_38_an_answer_without_issuer_is_refused_where_one_is_promised(lab: SignInLab):
    lab.provider.discovery = {"authorization_response_iss_parameter_supported": True}
    assert code_of(await lab.sign_in()) == (401, "provider_refused")


async def test_a_person_who_does_not_agree_gets_no_session(lab: SignInLab):
    state = dict(parse_qsl(urlsplit(await lab.begin()).query))["state"]
    assert code_of(await lab.finish(f"error=access_denied&state={state}")) == (401, "provider_refused")


async def test_a_verified_email_binds_an_unconfirmed_person(lab: SignInLab):
    waiting = await make_person(lab.web.parts.database, "builder", email="ann@example.com", is_confirmed=False)
    assert (await lab.sign_in()).status_code == 303
    (user,) = await lab.list_users()
    assert (user.id, user.issuer, user.subject, user.is_confirmed) == (waiting, lab.provider.issuer, "ann-1", True)


async def test_tok_39_an_email_that_is_not_verified_is_linked_to_nobody(lab: SignInLab):
    waiting = await make_person(lab.web.parts.database, "admin", email="ann@example.com", is_confirmed=False)
    for verified in (False, None, "true", 1):
        lab.provider.changes = {"email_verified": verified}
        assert (await lab.sign_in()).status_code == 303
    rows = {user.id: user for user in await lab.list_users()}
    assert rows[waiting].issuer == "-"
    assert len(rows) == 2
    assert waiting not in {row.user_id for row in await lab.list_sessions()}


async def test_tok_39_a_confirmed_persons_email_is_no_key_to_the_account(lab: SignInLab):
    admin = await make_person(lab.web.parts.database, "admin", email="ann@example.com")
    assert (await lab.sign_in()).status_code == 303
    assert {user.issuer for user in await lab.list_users()} == {"-", lab.provider.issuer}
    assert admin not in {row.user_id for row in await lab.list_sessions()}


async def test_a_disabled_person_gets_no_session(lab: SignInLab):
    await lab.sign_in()
    async with lab.web.parts.database.write.begin() as session:
        (user,) = await lab.list_users()
        user.disabled_at = 1
        await session.merge(user)
    assert code_of(await lab.sign_in()) == (403, "user_disabled")
    assert len(await lab.list_sessions()) == 1


async def test_a_person_without_email_is_told_what_to_do(lab: SignInLab):
    lab.provider.changes = {"email": None}
    assert code_of(await lab.sign_in()) == (403, "email_missing")


async def test_the_first_owner_is_made_by_a_verified_email_once(lab: SignInLab):
    lab.provider.person = {"sub": "boss", "email": "boss@example.com", "email_verified": False}
    await lab.sign_in()
    assert await find_owners(lab) == set()
    lab.provider.person = {"sub": "boss", "email": "boss@example.com", "email_verified": True}
    await lab.sign_in()
    (boss,) = await lab.list_users()
    assert await find_owners(lab) == {boss.id}
    async with lab.web.parts.database.read() as session:
        (given,) = await session.scalars(select(AuditRow).where(AuditRow.action == "role.assigned"))
    assert boss.id in str(given.after)
    other = await make_person(lab.web.parts.database, "owner")
    assert await find_owners(lab) == {boss.id, other}


async def find_owners(lab: SignInLab) -> set[str]:
    async with lab.web.parts.database.read() as session:
        return await list_owner_ids(session)


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "runs", "/a\n/b", "/%0d\r"]
)
async def test_tok_41_a_foreign_target_is_ignored(target: str, lab: SignInLab):
    assert read_next(target) == "/"
    answer = await lab.web.client.get("/api/v1/auth/oidc/default/login", params={"next": target})
    finished = await lab.finish(lab.provider.authorize(str(answer.headers["location"])))
    assert (finished.status_code, finished.headers["location"]) == (303, "/")


async def test_a15_no_header_of_a_request_says_where_the_provider_sends_the_browser(lab: SignInLab):
    headers = {"x-forwarded-host": "evil.example", "origin": "https://evil.example", "forwarded": "host=evil.example"}
    answer = await lab.web.client.get("/api/v1/auth/oidc/default/login", headers=headers)
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert asked["redirect_uri"] == "http://127.0.0.1:8000/api/v1/auth/oidc/default/callback"


async def test_on_a_public_server_the_cookies_are_the_hosts_alone(lab: SignInLab):
    settings = lab.web.parts.settings.model_copy(update={"public_url": "https://flowforge.example.com"})
    object.__setattr__(lab.web.parts, "settings", settings)
    answer = await lab.web.client.get("/api/v1/auth/oidc/default/login")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-flowforge_oidc=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert asked["redirect_uri"].startswith("https://flowforge.example.com/api/")


async def test_a_sign_in_is_in_the_audit_log_and_nothing_secret_is(lab: SignInLab):
    await lab.sign_in()
    (user,) = await lab.list_users()
    async with lab.web.parts.database.read() as session:
        made, row = await session.scalars(select(AuditRow).order_by(AuditRow.no))
    assert (made.action, made.entity_id, made.actor) == ("user.created", user.id, "system")
    assert (row.action, row.entity_id, row.actor) == ("user.signed_in", user.id, f"user:{user.id}")
    assert "code-0" not in str(made.after) + str(row.after)
