"""What sessions hold, in the database and in Redis: one suite for both. And Redis when it is away."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests.support.accounts_lab import PASSWORD, AccountsLab, open_accounts_lab
from tests.support.brokers import redis_url

from flowforge.identity.links import make_link
from flowforge.identity.models_accounts import SessionRow, UserRow
from flowforge.identity.session_contents import SessionContents, is_in_row
from flowforge.identity.types_accounts import LinkPurpose
from flowforge.kit.bus.redis_connection import RedisClients
from flowforge.kit.bus.redis_urls import parse_redis_url

AWAY = "redis://127.0.0.1:1"


@asynccontextmanager
async def open_redis_lab(folder: Path, url: str) -> AsyncGenerator[AccountsLab]:
    clients = RedisClients(parse_redis_url(url))
    try:
        async with open_accounts_lab(folder, redis=clients) as lab:
            yield lab
    finally:
        await clients.close()


@pytest.fixture(params=["database", "redis"])
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[AccountsLab]:
    async with open_accounts_lab(tmp_path) if request.param == "database" else open_redis_lab(tmp_path, redis_url()) as lab:
        yield lab


async def list_rows(lab: AccountsLab) -> list[SessionRow]:
    async with lab.parts.database.read() as session:
        return list(await session.scalars(select(SessionRow)))


async def test_a_session_begins_is_listed_and_is_gone_at_the_next_request(lab: AccountsLab):
    anna = await lab.enter()
    assert (await anna.post("/probes/change")).status_code == 200
    phone = lab.open_browser(address="10.1.2.3")
    await phone.sign_in("anna@example.com")
    rows = (await anna.get("/me/sessions")).json()["data"]
    assert [(row["address"], row["method"]) for row in rows] == [("10.1.2.3", "password"), ("127.0.0.1", "password")]
    assert (await phone.get("/probes/who")).status_code == 200
    assert (await anna.send("DELETE", f"/me/sessions/{rows[0]['id']}")).status_code == 204
    assert (await phone.get("/probes/who")).status_code == 401
    assert (await anna.post("/auth/session/extend")).status_code == 200
    assert (await anna.get("/probes/who")).status_code == 200


async def test_a_session_ends_when_it_is_idle_and_its_use_counts(lab: AccountsLab):
    anna = await lab.enter()
    idle_ms = lab.parts.settings.session_idle_ms
    for _ in range(2):
        lab.clock.advance(idle_ms - 1_000)
        assert (await anna.get("/probes/who")).status_code == 200
    (shown,) = (await anna.get("/me/sessions")).json()["data"]
    assert shown["last_used_at"] > shown["created_at"]
    lab.clock.advance(idle_ms)
    assert (await anna.get("/probes/who")).status_code == 401


async def test_a_session_whose_content_is_lost_or_another_ones_is_refused(lab: AccountsLab):
    anna, bob = await lab.enter(), await lab.enter("bob@example.com")
    contents = lab.parts.port(SessionContents)
    first, second = rows = await list_rows(lab)
    kept = await contents.find(rows)
    sealed = await contents.keep(first.digest, kept[second.digest].sealed, lab.clock.now_ms())
    async with lab.parts.database.write.begin() as session:
        await session.execute(
            update(SessionRow).where(SessionRow.digest == first.digest).values(key_id=sealed.key_id, sealed=sealed.data)
        )
    codes = {(await browser.get("/probes/who")).status_code for browser in (anna, bob)}
    assert codes == {200, 401}


class TestRedis:
    async def test_content_is_sealed_there_and_not_in_the_row_and_programs_stay_in_the_database(self, tmp_path: Path):
        async with open_redis_lab(tmp_path, redis_url()) as lab:
            anna = await lab.enter()
            (row,) = await list_rows(lab)
            assert not is_in_row(row)
            (kept,) = (await lab.parts.port(SessionContents).find([row])).values()
            assert b"127.0.0.1" not in kept.sealed.data
            await anna.post("/auth/token", {"email": "anna@example.com", "password": PASSWORD})
            rows = await list_rows(lab)
            assert sorted(is_in_row(row) for row in rows) == [False, True]
            # As those of before there was a Redis, which go on.
            assert len(await lab.parts.port(SessionContents).find(rows)) == 2

    async def test_away_nobody_signs_in_and_no_link_is_used_up(self, tmp_path: Path):
        async with open_redis_lab(tmp_path, AWAY) as lab:
            await lab.add_person("anna@example.com", "owner")
            async with lab.parts.database.write.begin() as session:
                user = (await session.scalars(select(UserRow))).one()
                token = await make_link(session, user, LinkPurpose.SIGN_IN, now_ms=lab.clock.now_ms(), lives_ms=60_000)
            browser = lab.open_browser()
            answer = await browser.sign_in("anna@example.com")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert (await browser.post("/auth/link", {"token": token})).status_code == 503
            assert await list_rows(lab) == []
            async with open_accounts_lab(tmp_path) as mended:
                assert (await mended.open_browser().post("/auth/link", {"token": token})).status_code == 200

    async def test_away_a_session_is_not_taken_on_trust(self, tmp_path: Path):
        async with open_redis_lab(tmp_path, redis_url()) as lab:
            anna = await lab.enter()
            async with open_redis_lab(tmp_path, AWAY) as away:
                answer = await away.open_browser().get("/probes/who", cookie=f"flowforge_sid={anna.sid}")
                assert answer.status_code == 503
                assert "nobody can sign in" in answer.json()["error"]["message"]
