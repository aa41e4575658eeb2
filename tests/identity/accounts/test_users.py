"""People: made, changed, disabled, deleted, restored, erased; and the owners, whom nobody else touches."""

from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.support.accounts_lab import PASSWORD, AccountsLab, Browser

from flowforge.audit.models import AuditRow, PersonKey
from flowforge.engine.tables import outbox
from flowforge.identity.external_identities import ToldIdentity, put_identity
from flowforge.identity.models_accounts import ApiKeyRow, SessionRow, UserRow


async def create(browser: Browser, email: str = "bob@example.com", **more: Any) -> dict[str, Any]:
    answer = await browser.post("/users", {"email": email, "name": "Bob"} | more)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/users/{answer.json()['id']}"
    return answer.json()


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["details"][0]["code"]


async def test_an_administrator_makes_a_person_and_gives_a_link(lab: AccountsLab):
    anna = await lab.enter()
    bob = await create(anna, role="builder")
    assert (bob["status"], bob["confirmed"], bob["issuer"]) == ("active", False, "-")
    link = (await anna.post(f"/users/{bob['id']}/password-link")).json()["link"]
    assert link.startswith("http://127.0.0.1:8000/sign-in#reset=")
    token = link.partition("=")[2]
    browser = lab.open_browser()
    assert (await browser.post("/auth/link", {"token": token})).status_code == 401
    confirmed = await browser.post("/auth/password-reset/confirm", {"token": token, "password": PASSWORD})
    assert confirmed.status_code == 204
    assert (await browser.sign_in("bob@example.com")).status_code == 200
    assert (await browser.get("/probes/read")).status_code == 200
    assert {"user.created", "user.password_link_made"} <= set(await lab.list_actions())
    async with lab.parts.database.read() as session:
        assert "user.created" in set(await session.scalars(select(outbox.c.event_type)))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "anna@example.com", "name": "x"}, (409, "email_taken")),
        ({"email": "ANNA@example.com", "name": "x"}, (409, "email_taken")),
        ({"email": "no email", "name": "x"}, (422, "email_invalid")),
        ({"email": "a@b\r\nBcc: c@d", "name": "x"}, (422, "email_invalid")),
        ({"email": "bob@example.com", "name": ""}, (422, "length")),
        ({"email": "bob@example.com"}, (422, "field_missing")),
        ({"email": "bob@example.com", "name": "x", "role": "emperor"}, (404, "role_unknown")),
        ({"email": "bob@example.com", "name": "x", "id": "usr_1"}, (422, "field_unknown")),
    ],
)
async def test_people_who_cannot_be_made(body: dict[str, str], code: tuple[int, str], lab: AccountsLab):
    anna = await lab.enter()
    assert code_of(await anna.post("/users", body)) == code
    assert len((await anna.get("/users")).json()["data"]) == 1


async def test_a22_a_change_of_a_person_takes_no_other_fields(lab: AccountsLab):
    anna = await lab.enter()
    bob = await create(anna)
    for body in (
        {"role": "admin", "workspace_id": "ws_1", "is_superuser": True},
        {"workspace_id": "ws_1"},
        {"is_confirmed": True},
        {"epoch": 9},
        {"issuer": "https://evil.example"},
        {"id": "usr_1"},
        {"__proto__": {"role": "owner"}},
    ):
        answer = await anna.send("PATCH", f"/users/{bob['id']}", body)
        assert code_of(answer) == (422, "field_unknown")
        assert code_of(await anna.send("PATCH", "/me", body)) == (422, "field_unknown")


async def test_a_person_is_changed_by_merging(lab: AccountsLab):
    anna = await lab.enter()
    bob = await create(anna)
    path = f"/users/{bob['id']}"
    await anna.send("PATCH", path, {"attributes": {"team": "red", "desk": {"floor": 1, "room": 2}}})
    changed = await anna.send("PATCH", path, {"name": "Robert", "attributes": {"team": None, "desk": {"floor": 3}}})
    assert changed.json()["name"] == "Robert"
    assert changed.json()["attributes"] == {"desk": {"floor": 3, "room": 2}}
    assert (await anna.send("PATCH", path, {"email": "Robert@example.com"})).json()["email"] == "Robert@example.com"
    assert code_of(await anna.send("PATCH", path, {"email": "anna@example.com"})) == (409, "email_taken")
    assert (await anna.send("PATCH", path, {"name": None})).status_code == 422
    assert (await anna.send("PATCH", path, {"attributes": []})).status_code == 422
    assert code_of(await anna.send("PATCH", path, {"default_workspace": "unknown"})) == (404, "workspace_unknown")


async def test_people_are_listed_searched_and_paged(lab: AccountsLab):
    anna = await lab.enter("anna@example.com")
    for name in ("bob", "cleo", "dora"):
        await create(anna, f"{name}@example.com", name=name.title())
    by_name = await list_emails(anna, "?sort=-email&limit=2")
    assert by_name == ["dora@example.com", "cleo@example.com", "bob@example.com", "anna@example.com"]
    assert await list_emails(anna, "?q=CLE&limit=1") == ["cleo@example.com"]
    assert await list_emails(anna, "?where=email:eq:BOB@example.com") == ["bob@example.com"]
    assert await list_emails(anna, "?where=status:eq:disabled") == []
    assert await list_emails(anna, "?q=%25") == []
    assert (await anna.get("/users?where=email_key:eq:x")).status_code == 422
    assert (await anna.get("/users?sort=epoch")).status_code == 422


async def list_emails(browser: Browser, query: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        answer = await browser.get(f"/users{query}{cursor}")
        assert answer.status_code == 200, answer.text
        found += [row["email"] for row in answer.json()["data"]]
        if answer.json()["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer.json()['next_cursor']}"


async def test_somebody_without_the_right_sees_and_changes_nobody(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", "viewer")
    operator = await lab.enter("op@example.com", "operator")
    assert (await bob.get("/users")).status_code == 403
    assert (await operator.get("/users")).status_code == 200
    for method, path in (
        ("POST", "/users"),
        ("PATCH", f"/users/{anna.user_id}"),
        ("DELETE", f"/users/{anna.user_id}"),
        ("POST", f"/users/{anna.user_id}/disable"),
        ("POST", f"/users/{anna.user_id}/password-link"),
        ("POST", f"/users/{anna.user_id}/erase"),
        ("DELETE", f"/users/{anna.user_id}/sessions"),
    ):
        assert (await operator.send(method, path, {})).status_code == 403


async def test_disabling_ends_everything_and_enabling_lets_in_again(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", "builder")
    assert (await anna.post(f"/users/{bob.user_id}/disable")).json()["status"] == "disabled"
    assert (await bob.get("/probes/who")).status_code == 401
    assert (await lab.open_browser().sign_in("bob@example.com")).status_code == 401
    assert (await anna.post(f"/users/{bob.user_id}/disable")).status_code == 200
    assert (await anna.post(f"/users/{bob.user_id}/enable")).json()["status"] == "active"
    assert (await bob.get("/probes/who")).status_code == 401
    assert (await bob.sign_in("bob@example.com")).status_code == 200
    actions = await lab.list_actions()
    assert actions.count("user.disabled") == 1


async def test_the_last_owner_stays(lab: AccountsLab):
    anna = await lab.enter()
    for method, path in (
        ("POST", f"/users/{anna.user_id}/disable"),
        ("DELETE", f"/users/{anna.user_id}"),
        ("DELETE", f"/users/{anna.user_id}?permanent=true"),
        ("POST", f"/users/{anna.user_id}/erase"),
    ):
        assert code_of(await anna.send(method, path)) == (409, "last_owner")
    assert (await anna.get("/probes/who")).status_code == 200
    second = await lab.enter("second@example.com")
    assert (await second.post(f"/users/{anna.user_id}/disable")).status_code == 200
    assert code_of(await second.post(f"/users/{second.user_id}/disable")) == (409, "last_owner")


async def test_an_administrator_does_not_touch_owners(lab: AccountsLab):
    anna = await lab.enter()
    await lab.enter("second@example.com")
    admin = await lab.enter("admin@example.com", "admin")
    for method, path in (
        ("POST", f"/users/{anna.user_id}/password-link"),
        ("POST", f"/users/{anna.user_id}/disable"),
        ("POST", f"/users/{anna.user_id}/erase"),
        ("DELETE", f"/users/{anna.user_id}"),
        ("DELETE", f"/users/{anna.user_id}/sessions"),
    ):
        assert code_of(await admin.send(method, path)) == (403, "owner_protected")
    body = {"email": "x@example.com", "name": "x", "role": "owner"}
    assert (await admin.post("/users", body)).status_code == 403


async def test_no_key_makes_a_password_link(lab: AccountsLab):
    anna = await lab.enter()
    bob = await create(anna)
    key = await lab.make_key(anna, "user:manage", "user:read")
    answer = await lab.open_browser().post(f"/users/{bob['id']}/password-link", origin="", x_api_key=key)
    assert code_of(answer) == (403, "session_required")


async def test_a_deleted_person_is_hidden_and_can_be_restored(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", "builder")
    assert (await anna.send("DELETE", f"/users/{bob.user_id}")).status_code == 204
    assert (await bob.get("/probes/who")).status_code == 401
    assert await list_emails(anna, "") == ["anna@example.com"]
    assert await list_emails(anna, "?include_deleted=true") == ["anna@example.com", "bob@example.com"]
    assert (await anna.get(f"/users/{bob.user_id}")).json()["status"] == "deleted"
    second = await create(anna, "bob@example.com")
    assert code_of(await anna.post(f"/users/{bob.user_id}/restore")) == (409, "email_taken")
    await anna.send("DELETE", f"/users/{second['id']}")
    assert (await anna.post(f"/users/{bob.user_id}/restore")).json()["status"] == "active"
    assert (await bob.sign_in("bob@example.com")).status_code == 200
    assert (await bob.get("/probes/read")).status_code == 200


async def test_an_erased_person_leaves_an_id_and_nothing_else(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", "builder")
    await lab.make_key(bob, "run:read")
    await bob.send("PATCH", "/me", {"name": "Bob Secret"})
    async with lab.parts.database.write.begin() as session:
        told = ToldIdentity("ldap", "uid=bob", "manual", email="bob@example.com")
        await put_identity(session, bob.user_id, told, lab.clock.now_ms())
    assert (await anna.get(f"/users/{bob.user_id}/identities")).json()["data"][0]["external_id"] == "uid=bob"
    assert (await anna.post(f"/users/{bob.user_id}/erase")).status_code == 204
    shown = (await anna.get(f"/users/{bob.user_id}")).json()
    assert (shown["status"], shown["name"]) == ("erased", "Erased person")
    assert "bob@" not in str(shown)
    assert (await anna.get(f"/users/{bob.user_id}/identities")).json()["data"] == []
    assert code_of(await anna.post(f"/users/{bob.user_id}/restore")) == (409, "user_erased")
    async with lab.parts.database.read() as session:
        for table in (ApiKeyRow, SessionRow):
            assert (await session.scalars(select(table).where(table.user_id == bob.user_id))).all() == []
        key = await session.get_one(PersonKey, bob.user_id)
        stored = " ".join(f"{row.before} {row.after}" for row in await session.scalars(select(AuditRow)))
    assert key.sealed is None
    assert "Bob Secret" not in stored
    await create(anna, "bob@example.com")


@pytest.mark.parametrize("user", ["usr_1", "nobody", "%2e%2e", "usr_" + "0" * 26, "wf_" + "0" * 26])
async def test_unknown_people(user: str, lab: AccountsLab):
    anna = await lab.enter()
    expected = {404} if user == "usr_" + "0" * 26 else {422, 404}
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/disable"),
        ("POST", "/restore"),
        ("GET", "/sessions"),
    ):
        assert (await anna.send(method, f"/users/{user}{path}", {} if method == "PATCH" else None)).status_code in expected


async def test_an_administrator_ends_the_session_of_somebody(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", "builder")
    (row,) = (await anna.get(f"/users/{bob.user_id}/sessions")).json()["data"]
    assert row["current"] is False
    assert (await anna.send("DELETE", f"/users/{bob.user_id}/sessions/{row['id']}")).status_code == 204
    assert (await bob.get("/probes/who")).status_code == 401
    await bob.sign_in("bob@example.com")
    assert (await anna.send("DELETE", f"/users/{bob.user_id}/sessions")).status_code == 204
    assert (await bob.get("/probes/who")).status_code == 401


async def test_own_profile(lab: AccountsLab):
    anna = await lab.enter()
    made = await anna.post("/workspaces", {"name": "finance"})
    changed = await anna.send("PATCH", "/me", {"name": "Anna B.", "default_workspace": "finance"})
    assert changed.status_code == 200, changed.text
    assert (await anna.get("/me")).json()["default_workspace"] == made.json()["id"]
    assert (await anna.get("/probes/who")).json()["workspace_id"] == made.json()["id"]
    await anna.send("PATCH", "/me", {"default_workspace": None})
    assert (await anna.get("/probes/who")).json()["workspace_id"] != made.json()["id"]


async def test_two_people_of_two_issuers_may_have_one_email(lab: AccountsLab):
    anna = await lab.enter()
    now_ms = lab.clock.now_ms()
    values = {"id": "usr_0" + "z" * 25, "issuer": "https://idp.example", "subject": "s1", "email": "anna@example.com"}
    values |= {"email_key": "anna@example.com", "name": "Other Anna", "attributes": "{}", "created_by": "test"}
    numbers = {"is_confirmed": True, "epoch": 1, "created_at": now_ms, "updated_at": now_ms, "deleted_at": 253_402_214_400_000}
    async with lab.parts.database.write.begin() as session:
        await session.execute(insert(UserRow).values(**values, **numbers))
    assert await list_emails(anna, "") == ["anna@example.com", "anna@example.com"]
    path = f"/users/{values['id']}"
    assert code_of(await anna.send("PATCH", path, {"email": "new@example.com"})) == (409, "not_local")
    assert code_of(await anna.post(f"{path}/password-link")) == (409, "not_local")
