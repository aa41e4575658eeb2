"""Who is let in where: paths, workspaces, first links, WebSockets, and what the gate remembers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import event
from starlette.requests import HTTPConnection
from tests.support.accounts_lab import AccountsLab, Browser, ProbeAnswer, open_accounts_lab

from flowforge.identity.gate import IdentityGate
from flowforge.identity.owner_links import OWNER_EMAIL, make_sign_in_link
from flowforge.web.callers import SIGNED_IN
from flowforge.web.errors import CsrfError
from flowforge.web.routing import Router

named = Router("things", "/things")


@named.get("/{name}", "workflow:read")
async def show_named(name: str) -> ProbeAnswer:
    return ProbeAnswer(actor=name, kind="", credential="", workspace_id="", address="", tier="")


def make_connection(headers: dict[str, str], *, kind: str = "http", method: str = "GET") -> HTTPConnection:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": kind, "method": method, "path": "/", "headers": raw, "query_string": b"", "state": {}}
    return HTTPConnection(scope | {"client": ("127.0.0.1", 1), "scheme": "http", "server": ("127.0.0.1", 8000)})


async def test_a05_the_query_opens_nothing(lab: AccountsLab):
    for path in ["/users?x=/health", "/users?next=/auth/login", "/users#/ready", "/users?/docs"]:
        answer = await lab.open_browser().get(path)
        assert answer.status_code == 401


async def test_a05_the_name_of_a_thing_opens_nothing(tmp_path: Path):
    async with open_accounts_lab(tmp_path, more_routers=[named]) as lab:
        anna = await lab.enter()
        for name in ["ready", "health", "configs", "login", "docs", "openapi.json", "auth"]:
            assert (await lab.open_browser().get(f"/things/{name}")).status_code == 401
            assert (await anna.get(f"/things/{name}")).json()["actor"] == name


async def test_a05_the_host_opens_nothing(lab: AccountsLab):
    for host in ["localhost/health?", "a#b", "127.0.0.1:8000/ready", "evil.example", "127.0.0.1@evil.example"]:
        assert (await lab.open_browser().get("/users", host=host)).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "//api/v1/users",
        "/api/./v1/users",
        "/API/v1/users",
        "/api/v1/%75sers",
        "/api/v1/users/",
        "/api/v1/users;x",
        "/api/v1/auth/../users",
    ],
)
async def test_a05_other_writings_of_a_path_are_the_same_or_nothing(path: str, lab: AccountsLab):
    answer = await lab.open_browser().client.request("GET", "http://127.0.0.1:8000" + path)
    assert answer.status_code in {401, 404}
    if answer.status_code == 404:
        anna = await lab.enter()
        assert (await anna.client.request("GET", "http://127.0.0.1:8000" + path)).status_code == 404


async def test_every_route_but_the_open_ones_wants_a_credential(lab: AccountsLab):
    for method, path in (("GET", "/me"), ("GET", "/keys"), ("GET", "/auth/session"), ("POST", "/auth/logout"), ("GET", "/users")):
        answer = await lab.open_browser().send(method, path)
        assert answer.status_code == 401, path
    for path in ("/auth/config", "//.well-known/jwks.json", "//sign-in"):
        assert (await lab.open_browser().get(path)).status_code == 200


async def test_a_foreign_workspace_looks_like_none(lab: AccountsLab):
    anna = await lab.enter()
    await anna.post("/workspaces", {"name": "finance"})
    bob = await lab.enter("bob@example.com", None)
    for workspace in ("finance", "unknown", "ws_" + "0" * 26):
        answer = await bob.get("/probes/who", x_workspace=workspace)
        assert (answer.status_code, answer.json()["error"]["details"][0]["code"]) == (404, "workspace_unknown")
    assert (await bob.get("/probes/who")).status_code == 200
    assert (await anna.get("/probes/who", x_workspace="finance")).status_code == 200
    by_query = await anna.get("/probes/who?workspace=finance")
    assert by_query.json()["workspace_id"] == (await anna.get("/workspaces/finance")).json()["id"]
    for sent in ("", "x" * 101):
        assert (await anna.client.get("/api/v1/probes/who", headers={"x-workspace": sent})).status_code == 422


async def test_rights_are_those_of_now(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", None)
    assert (await bob.get("/probes/read")).status_code == 403
    body = {"principal": bob.user_id, "role": "viewer", "scope": "installation"}
    given = await anna.post("/role-assignments", body)
    assert given.status_code == 201, given.text
    assert (await bob.get("/probes/read")).status_code == 200
    assert (await anna.send("DELETE", f"/role-assignments/{given.json()['id']}")).status_code == 204
    assert (await bob.get("/probes/read")).status_code == 403


async def use_link(lab: AccountsLab, link: str) -> tuple[int, Browser]:
    browser = lab.open_browser()
    answer = await browser.post("/auth/link", {"token": link.partition("#token=")[2]})
    return answer.status_code, browser


async def make_up_link(lab: AccountsLab) -> str:
    async with lab.parts.database.write.begin() as session:
        return await make_sign_in_link(session, lab.parts.settings, now_ms=lab.clock.now_ms())


async def test_the_first_owner_is_made_by_the_link_that_up_prints(lab: AccountsLab):
    link = await make_up_link(lab)
    assert link.startswith("http://127.0.0.1:8000/sign-in#token=")
    status, browser = await use_link(lab, link)
    assert status == 200
    assert (await browser.get("/me")).json()["email"] == OWNER_EMAIL
    assert (await browser.get("/users")).status_code == 200
    assert (await use_link(lab, link))[0] == 401
    second = await make_up_link(lab)
    third = await make_up_link(lab)
    assert (await use_link(lab, second))[0] == 401, "each start prints a new link"
    lab.clock.advance(10 * 60_000)
    assert (await use_link(lab, third))[0] == 401
    assert len((await browser.get("/users")).json()["data"]) == 1


async def test_used_expired_and_unknown_links_say_the_same(lab: AccountsLab):
    link = await make_up_link(lab)
    await use_link(lab, link)
    old = await make_up_link(lab)
    lab.clock.advance(600_000)
    told: set[str] = set()
    for token in (link.partition("=")[2], old.partition("=")[2], "x" * 43, "short"):
        answer = await lab.open_browser().post("/auth/link", {"token": token})
        assert answer.status_code == 401
        told.add(str(answer.json()["error"] | {"requestId": ""}))
    assert len(told) == 1


async def test_one_link_used_twice_at_once_lets_one_in(lab: AccountsLab):
    link = await make_up_link(lab)
    found = await asyncio.gather(*(use_link(lab, link) for _ in range(5)))
    assert sorted(status for status, _ in found) == [200, 401, 401, 401, 401]


async def test_the_sign_in_page_is_whole_and_strict(lab: AccountsLab):
    browser = lab.open_browser()
    page = await browser.get("//sign-in?next=/runs")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert "style=" not in page.text
    for name, kind in (("sign_in.js", "text/javascript"), ("sign_in.css", "text/css")):
        assert f"/sign-in/{name}" in page.text
        found = await browser.get(f"//sign-in/{name}")
        assert found.headers["content-type"].startswith(kind)


async def test_a_websocket_of_a_browser_must_come_from_our_page(lab: AccountsLab):
    anna = await lab.enter()
    gate = lab.accounts.gate
    cookie = f"flowforge_sid={anna.sid}"
    ours = {"cookie": cookie, "origin": "http://127.0.0.1:8000"}
    assert (await gate.admit(make_connection(ours, kind="websocket"), SIGNED_IN)).user_id == anna.user_id
    for headers in ({"cookie": cookie}, {"cookie": cookie, "origin": "https://evil.example"}):
        with pytest.raises(CsrfError):
            await gate.admit(make_connection(headers, kind="websocket"), SIGNED_IN)


@asynccontextmanager
async def count_statements(lab: AccountsLab) -> AsyncGenerator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement != "BEGIN":
            seen.append(statement)

    engine = lab.parts.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def ask_often(gate: IdentityGate, connection: HTTPConnection, number: int) -> float:
    began_s = perf_counter()
    for _ in range(number):
        await gate.admit(connection, "run:read")
    return (perf_counter() - began_s) / number


async def test_a_key_that_is_remembered_costs_no_database_and_little_time(lab: AccountsLab):
    key = await lab.make_key(await lab.enter(), "run:read")
    gate, connection = lab.accounts.gate, make_connection({"x-api-key": key})
    await gate.admit(connection, "run:read")
    async with count_statements(lab) as seen:
        each_s = min([await ask_often(gate, connection, 200) for _ in range(5)])
    assert seen == []
    assert each_s < 50e-6


async def test_a_session_that_is_remembered_costs_one_statement(lab: AccountsLab):
    anna = await lab.enter()
    connection = make_connection({"cookie": f"flowforge_sid={anna.sid}"})
    await lab.accounts.gate.admit(connection, "run:read")
    async with count_statements(lab) as seen:
        await lab.accounts.gate.admit(connection, "run:read")
    assert len(seen) == 1
