"""What depends on SQL, on the servers: sign-ins, failures counted together, links used once, keys, lists, the last owner."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.accounts_lab import PASSWORD, open_accounts_lab
from tests.support.databases import Kind

from flowforge.identity.models_accounts import KeyUsageRow, LetterRow, SessionRow
from flowforge.identity.owner_links import make_sign_in_link

SERVERS = ("postgres", "mysql")


@pytest.mark.parametrize("kind", SERVERS)
async def test_accounts_on_a_server(kind: Kind, tmp_path: Path):
    async with open_accounts_lab(tmp_path, kind=kind) as lab:
        anna = await lab.enter()
        key = await lab.make_key(anna, "run:read")
        assert (await lab.open_browser().get("/probes/read", x_api_key=key)).status_code == 200
        await lab.accounts.usage.run_once()
        await lab.open_browser().get("/probes/read", x_api_key=key)
        await lab.accounts.usage.run_once()
        async with lab.parts.database.read() as session:
            (usage,) = (await session.scalars(select(KeyUsageRow))).all()
        assert usage.requests == 2
        assert (await anna.send("DELETE", f"/keys/{key[:12]}")).status_code == 204
        lab.clock.advance(2_001)
        assert (await lab.open_browser().get("/probes/read", x_api_key=key)).status_code == 401
        assert (await anna.post(f"/users/{anna.user_id}/disable")).status_code == 409
        bob = (await anna.post("/users", {"email": "bob@example.com", "name": "Bob", "role": "viewer"})).json()
        assert (await anna.post("/users", {"email": "BOB@example.com", "name": "Bob"})).status_code == 409
        page = (await anna.get("/users?sort=-email&limit=1")).json()
        assert page["data"][0]["id"] == bob["id"]
        assert (await anna.get(f"/users?sort=-email&limit=1&cursor={page['next_cursor']}")).json()["data"][0][
            "id"
        ] == anna.user_id
        assert (await anna.post(f"/users/{bob['id']}/erase")).status_code == 204
        assert (await anna.send("DELETE", "/me/sessions")).status_code == 204
        assert (await anna.get("/probes/who")).status_code == 401


@pytest.mark.parametrize("kind", SERVERS)
async def test_tok_42_parallel_failures_are_all_counted_on_a_server(kind: Kind, tmp_path: Path):
    async with open_accounts_lab(tmp_path, kind=kind) as lab:
        await lab.add_person("anna@example.com")
        tries = [lab.open_browser(address=f"10.0.0.{number}").sign_in("anna@example.com", "wrong") for number in range(16)]
        statuses = [answer.status_code for answer in await asyncio.gather(*tries)]
        assert sorted(set(statuses)) in ([401, 429], [401, 429, 503])
        assert statuses.count(401) <= 10
        assert (await lab.open_browser().sign_in("anna@example.com")).status_code == 429


@pytest.mark.parametrize("kind", SERVERS)
async def test_links_and_refresh_tokens_are_good_once_on_a_server(kind: Kind, tmp_path: Path):
    async with open_accounts_lab(tmp_path, kind=kind) as lab:
        async with lab.parts.database.write.begin() as session:
            link = await make_sign_in_link(session, lab.parts.settings, now_ms=lab.clock.now_ms())
        body = {"token": link.partition("=")[2]}
        answers = await asyncio.gather(*(lab.open_browser().post("/auth/link", body) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
        await lab.add_person("anna@example.com")
        credentials = {"email": "anna@example.com", "password": PASSWORD}
        pair = (await lab.open_browser().post("/auth/token", credentials)).json()
        refresh = {"refresh_token": pair["refresh_token"]}
        assert (await lab.open_browser().post("/auth/refresh", refresh)).status_code == 200
        assert (await lab.open_browser().post("/auth/refresh", refresh)).status_code == 401
        async with lab.parts.database.read() as session:
            assert len((await session.scalars(select(SessionRow))).all()) == 1


@pytest.mark.parametrize("kind", SERVERS)
async def test_letters_and_cleaning_on_a_server(kind: Kind, tmp_path: Path):
    async with open_accounts_lab(tmp_path, kind=kind) as lab:
        await lab.enter()
        for email in ("anna@example.com", "nobody@example.com"):
            assert (await lab.open_browser().post("/auth/password-reset", {"email": email})).status_code == 202
        await asyncio.gather(lab.accounts.letters.run_once(), lab.accounts.letters.run_once())
        assert len(lab.read_mails()) == 1
        lab.clock.advance(30 * 86_400_000)
        await lab.accounts.cleaner.run_once()
        async with lab.parts.database.read() as session:
            for table in (LetterRow, SessionRow):
                assert (await session.scalars(select(table))).all() == []
