"""API keys: what they may do, how they are sent, and how fast they are gone."""

import hmac

import pytest
from sqlalchemy import select
from tests.support.accounts_lab import AccountsLab, Browser, open_accounts_lab

from flowforge.identity.models_accounts import ApiKeyRow, UserRow
from flowforge.identity.people import disable_user
from flowforge.identity.random_secrets import digest_secret


async def ask(lab: AccountsLab, path: str = "/probes/who", method: str = "GET", **headers: str) -> tuple[int, str]:
    answer = await lab.open_browser().send(method, path, origin="", **headers)
    told = answer.json()
    return answer.status_code, told["error"]["details"][0]["code"] if "error" in told else told["kind"]


async def test_a_key_works_in_either_header(lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "run:read")
    assert await ask(lab, authorization=f"Bearer {key}") == (200, "key")
    assert await ask(lab, x_api_key=key) == (200, "key")
    assert len(key) == 56
    assert key.startswith("ff_")
    assert "key.created" in await lab.list_actions()


async def test_tok_19_two_headers_are_refused_and_a_header_beats_cookies(lab: AccountsLab):
    anna = await lab.enter()
    key = await lab.make_key(anna, "run:read")
    assert await ask(lab, authorization=f"Bearer {key}", x_api_key=key) == (400, "credentials")
    doubled = await lab.open_browser().client.get(
        "/api/v1/probes/who", headers=[("authorization", f"Bearer {key}"), ("authorization", f"Bearer {key}")]
    )
    assert doubled.status_code == 400
    assert (await anna.get("/probes/who", authorization=f"Bearer {key}")).json()["kind"] == "key"
    assert (await anna.get("/probes/who", authorization="Bearer wrong")).status_code == 401
    assert (await anna.get("/probes/who", x_api_key="wrong")).status_code == 401


async def test_tok_20_the_query_is_never_read(lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "run:read")
    for name in ["token", "access_token", "api_key", "key", "authorization"]:
        answer = await lab.open_browser().get(f"/probes/who?{name}={key}")
        assert answer.status_code == 401


async def test_tok_21_a_key_with_one_wrong_character_is_refused(lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "run:read")
    for place in [3, 11, 13, 40, 55]:
        wrong = key[:place] + ("a" if key[place] != "a" else "b") + key[place + 1 :]
        assert (await ask(lab, x_api_key=wrong))[0] == 401
        assert (await ask(lab, x_api_key=key[:-1]))[0] == 401
        assert (await ask(lab, x_api_key=key + "a"))[0] == 401


async def test_tok_21_a_prefix_that_is_right_costs_the_same_work(lab: AccountsLab, monkeypatch: pytest.MonkeyPatch):
    key = await lab.make_key(await lab.enter(), "run:read")
    known, unknown = key[:-1] + ("a" if key[-1] != "a" else "b"), "ff_" + "0" * 9 + key[12:]
    work: list[str] = []
    compare = hmac.compare_digest

    def count_digest(secret: str) -> str:
        work.append("digest")
        return digest_secret(secret)

    def count_compare(one: str, other: str) -> bool:
        work.append(f"compare {len(one)} {len(other)}")
        return compare(one, other)

    monkeypatch.setattr("flowforge.identity.keys.digest_secret", count_digest)
    monkeypatch.setattr(hmac, "compare_digest", count_compare)
    done: list[list[str]] = []
    for wrong in (known, unknown):
        work.clear()
        assert (await ask(lab, x_api_key=wrong))[0] == 401
        done.append([*work])
    assert done == [["digest", "compare 64 64"]] * 2


async def test_tok_22_a_revoked_key_is_refused_within_five_seconds(lab: AccountsLab):
    anna = await lab.enter()
    key = await lab.make_key(anna, "run:read")
    assert (await ask(lab, x_api_key=key))[0] == 200
    assert (await anna.send("DELETE", f"/keys/{key[:12]}")).status_code == 204
    lab.clock.advance(4_900)
    assert (await ask(lab, x_api_key=key))[0] == 401
    assert "key.revoked" in await lab.list_actions()


async def test_tok_22_also_by_another_process_with_what_it_remembers(lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "run:read")
    async with open_accounts_lab(lab.folder) as other:
        assert (await ask(other, x_api_key=key))[0] == 200
        async with lab.parts.database.write.begin() as session:
            user = (await session.scalars(select(UserRow))).one()
            user.email = "changed@example.com"
            row = (await session.scalars(select(ApiKeyRow))).one()
            row.revoked_at = lab.clock.now_ms()
        other.clock.advance(5_000)
        assert (await ask(other, x_api_key=key))[0] == 401


async def test_tok_23_a_key_may_do_what_its_list_says_and_no_more(lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "run:read")
    assert await ask(lab, "/probes/read", x_api_key=key) == (200, "key")
    assert await ask(lab, "/probes/write", "POST", x_api_key=key) == (403, "permission_missing")


async def test_a_key_may_do_no_more_than_its_person_now(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", "builder")
    key = await lab.make_key(bob, "workflow:create", "run:read")
    assert (await ask(lab, "/probes/write", "POST", x_api_key=key))[0] == 200
    denied = await anna.send("PUT", f"/users/{bob.user_id}/overrides", {"allow": [], "deny": ["workflow:create"]})
    assert denied.status_code == 200, denied.text
    lab.clock.advance(2_001)
    assert await ask(lab, "/probes/write", "POST", x_api_key=key) == (403, "permission_missing")
    assert (await ask(lab, "/probes/read", x_api_key=key))[0] == 200


async def test_nobody_makes_a_key_that_may_more_than_he(lab: AccountsLab):
    bob = await lab.enter("bob@example.com", "viewer")
    answer = await bob.post("/keys", {"name": "x", "permissions": ["workflow:create"], "expires_in": "30d"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/keys"), ("POST", "/keys"), ("DELETE", "/me/sessions"), ("PUT", "/me/password"), ("GET", "/probes/own")],
)
async def test_tok_24_what_is_for_people_refuses_keys(method: str, path: str, lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "key:read", "key:manage")
    assert await ask(lab, path, method, x_api_key=key) == (403, "session_required")


async def test_tok_25_a_key_is_shown_once(lab: AccountsLab):
    anna = await lab.enter()
    key = await lab.make_key(anna, "run:read")
    listed = await anna.get("/keys")
    shown = await anna.get(f"/keys/{listed.json()['data'][0]['id']}")
    assert listed.json()["data"][0]["prefix"] == key[:12]
    for answer in (listed, shown):
        assert key[13:] not in answer.text
    async with lab.parts.database.read() as session:
        row = (await session.scalars(select(ApiKeyRow))).one()
    assert key not in repr(vars(row))
    assert (row.prefix, len(row.digest)) == (key[:12], 64)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"expires_in": "366d"}, "expires_in"),
        ({"expires_in": "0s"}, "expires_in"),
        ({"expires_in": "soon"}, "expires_in"),
        ({"permissions": ["run:fly"]}, "permission_unknown"),
        ({"permissions": []}, "items"),
        ({"tier": "gold"}, "choice"),
        ({"name": ""}, "length"),
        ({"user_id": "usr_1"}, "field_unknown"),
        ({"prefix": "ff_mine12345"}, "field_unknown"),
    ],
)
async def test_keys_that_cannot_be_made(change: dict[str, object], code: str, lab: AccountsLab):
    anna = await lab.enter()
    answer = await anna.post("/keys", {"name": "x", "permissions": ["run:read"], "expires_in": "30d"} | change)
    assert (answer.status_code, answer.json()["error"]["details"][0]["code"]) == (422, code)


async def test_a_key_ends_when_its_time_is_over(lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "run:read", expires_in="1h")
    assert (await ask(lab, x_api_key=key))[0] == 200
    lab.clock.advance(3_600_000)
    assert (await ask(lab, x_api_key=key))[0] == 401


async def test_a_key_of_a_disabled_person_is_refused(lab: AccountsLab):
    await lab.enter()
    key = await lab.make_key(await lab.enter("bob@example.com", "builder"), "run:read")
    assert (await ask(lab, x_api_key=key))[0] == 200
    async with lab.parts.database.write.begin() as session:
        bob = (await session.scalars(select(UserRow).where(UserRow.email == "bob@example.com"))).one()
        await disable_user(session, bob, lab.clock.now_ms())
    lab.clock.advance(2_001)
    assert (await ask(lab, x_api_key=key))[0] == 401


async def test_a_key_belongs_to_one_workspace(lab: AccountsLab):
    anna = await lab.enter()
    made = await anna.post("/workspaces", {"name": "finance"})
    assert made.status_code == 201, made.text
    key = await lab.make_key(anna, "run:read")
    assert await ask(lab, x_api_key=key, x_workspace="finance") == (403, "key_workspace")
    assert await ask(lab, x_api_key=key, x_workspace="unknown") == (404, "workspace_unknown")
    inside = await anna.post("/keys", {"name": "x", "permissions": ["run:read"], "expires_in": "1d"}, x_workspace="finance")
    of_finance = (await lab.open_browser().get("/probes/who", x_api_key=inside.json()["key"])).json()
    assert of_finance["workspace_id"] == made.json()["id"]


async def test_the_tier_of_a_key(lab: AccountsLab):
    anna = await lab.enter()
    key = await lab.make_key(anna, "run:read", tier="enterprise")
    assert (await lab.open_browser().get("/probes/who", x_api_key=key)).json()["tier"] == "enterprise"
    bob = await lab.enter("bob@example.com", "builder")
    body = {"name": "x", "permissions": ["run:read"], "expires_in": "1d"}
    assert (await bob.post("/keys", body | {"tier": "enterprise"})).status_code == 403
    assert (await bob.post("/keys", body | {"tier": "free"})).status_code == 201


async def test_people_see_their_own_keys_and_administrators_all(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", "builder")
    hers, his = await lab.make_key(anna, "run:read"), await lab.make_key(bob, "run:read")
    assert await list_prefixes(anna) == [hers[:12], his[:12]]
    assert await list_prefixes(bob) == [his[:12]]
    assert (await bob.get(f"/keys/{hers[:12]}")).status_code == 404
    assert (await bob.send("DELETE", f"/keys/{hers[:12]}")).status_code == 404
    assert (await anna.send("PATCH", f"/keys/{his[:12]}", {"name": "renamed"})).json()["name"] == "renamed"
    assert (await anna.send("DELETE", f"/keys/{his[:12]}")).status_code == 204


async def list_prefixes(browser: Browser) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = (await browser.get(f"/keys?limit=1{cursor}")).json()
        found += [row["prefix"] for row in page["data"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def test_the_use_of_a_key_is_counted_by_hour_and_address(lab: AccountsLab):
    anna = await lab.enter()
    key = await lab.make_key(anna, "run:read")
    for _ in range(3):
        await ask(lab, x_api_key=key)
    await lab.accounts.usage.run_once()
    await ask(lab, x_api_key=key)
    await lab.accounts.usage.run_once()
    (row,) = (await anna.get(f"/keys/{key[:12]}/usage")).json()["data"]
    assert (row["requests"], row["address"]) == (4, "127.0.0.1")
    assert (await anna.get(f"/keys/{key[:12]}")).json()["last_used_at"] is not None


async def test_keys_can_be_switched_off(lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "run:read")
    async with open_accounts_lab(lab.folder, settings={"api_keys": False}) as other:
        assert (await ask(other, x_api_key=key))[0] == 401
