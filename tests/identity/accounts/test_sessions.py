"""Sessions of browsers: their cookies, how they end, and how changes prove that a page of ours made them."""

from http.cookies import SimpleCookie

import pytest
from httpx2 import Response
from sqlalchemy import select, update
from tests.support.accounts_lab import PASSWORD, AccountsLab, Browser, open_accounts_lab

from flowforge.identity.models_accounts import SessionRow
from flowforge.identity.sessions import end_session


def read_cookies(answer: Response) -> dict[str, str]:
    """The rules of each cookie that an answer sets."""
    found: dict[str, str] = {}
    for header in answer.headers.get_list("set-cookie"):
        name, _, rest = header.partition("=")
        found[name] = rest
    return found


REFUSED = (403, "CSRF_FAILED")


async def change(browser: Browser, **headers: str) -> tuple[int, str]:
    """The status of a change that is sent with these headers, and the code of its error."""
    answer = await browser.post("/probes/change", **headers)
    return answer.status_code, answer.json().get("error", {}).get("code", "")


async def test_somebody_signs_in_looks_and_signs_out(lab: AccountsLab):
    anna = await lab.enter()
    who = (await anna.get("/probes/who")).json()
    assert who["actor"] == f"user:{anna.user_id}"
    assert who["kind"] == "session"
    shown = (await anna.get("/auth/session")).json()
    assert shown["user"]["email"] == "anna@example.com"
    assert shown["expires_at"].endswith("Z")
    assert (await anna.post("/probes/change")).status_code == 200
    sid, csrf = anna.sid, anna.csrf
    assert (await anna.post("/auth/logout")).status_code == 204
    assert (anna.sid, anna.csrf) == ("", "")
    assert (await anna.get("/probes/who", cookie=f"flowforge_sid={sid}; flowforge_csrf={csrf}")).status_code == 401
    assert {"session.created", "session.ended"} <= set(await lab.list_actions())


async def test_tok_01_without_credentials_there_is_a_challenge(lab: AccountsLab):
    answer = await lab.open_browser().get("/probes/who")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await lab.open_browser().client.get("/api/v1/probes/who", headers={"cookie": ""})).status_code == 401


async def test_tok_26_a_changed_session_cookie_is_refused(lab: AccountsLab):
    anna = await lab.enter()
    sid = anna.sid
    tampered = sid[:-1] + ("A" if sid[-1] != "A" else "B")
    for sent in (tampered, sid[:20], "x" * 43, "", sid * 100, "\xe9" * 43):
        headers = {b"cookie": f"flowforge_sid={sent}".encode("latin-1")}
        answer = await lab.open_browser().client.get("/api/v1/probes/who", headers=headers)
        assert answer.status_code == 401, sent
    assert (await anna.get("/probes/who")).status_code == 200


async def test_tok_27_a_session_that_does_not_open_is_refused_with_an_alarm(lab: AccountsLab, caplog: pytest.LogCaptureFixture):
    anna = await lab.enter()
    async with lab.parts.database.write.begin() as session:
        row = (await session.scalars(select(SessionRow))).one()
        sealed = bytearray(row.sealed)
        sealed[20] ^= 1
        await session.execute(update(SessionRow).values(sealed=bytes(sealed)))
    assert (await anna.get("/probes/who")).status_code == 401
    assert "A session does not open" in caplog.text


async def test_tok_43_44_a_session_moved_to_another_row_or_of_an_unknown_key_is_refused(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com")
    async with lab.parts.database.write.begin() as session:
        rows = {row.user_id: row for row in await session.scalars(select(SessionRow))}
        rows[anna.user_id].sealed = rows[bob.user_id].sealed
        rows[bob.user_id].key_id = "k_" + "0" * 16
    assert (await anna.get("/probes/who")).status_code == 401
    assert (await bob.get("/probes/who")).status_code == 401


async def test_tok_28_the_session_id_is_another_after_each_sign_in(lab: AccountsLab):
    await lab.add_person("anna@example.com")
    browser = lab.open_browser()
    planted = "p" * 43
    browser.client.cookies.set("flowforge_sid", planted, domain="127.0.0.1")
    await browser.sign_in("anna@example.com")
    first = [cookie.value for cookie in browser.client.cookies.jar if cookie.name == "flowforge_sid"]
    assert first != [planted]
    browser.client.cookies.clear()
    await browser.sign_in("anna@example.com")
    second = browser.sid
    assert second not in first
    assert (await browser.post("/auth/session/extend")).status_code == 200
    assert browser.sid != second
    assert (await browser.get("/probes/who", cookie=f"flowforge_sid={second}")).status_code == 401


async def test_tok_29_a_session_ends_when_it_is_idle_or_old(lab: AccountsLab):
    anna = await lab.enter()
    settings = lab.parts.settings
    for _ in range(8):
        lab.clock.advance(settings.session_idle_ms - 1_000)
        if lab.clock.now_ms() < 1_750_000_000_000 + settings.session_max_ms:
            assert (await anna.get("/probes/who")).status_code == 200
    assert (await anna.get("/probes/who")).status_code == 401

    anna = await lab.enter("bob@example.com")
    assert (await anna.get("/probes/who")).status_code == 200
    lab.clock.advance(settings.session_idle_ms)
    assert (await anna.get("/probes/who")).status_code == 401


async def test_tok_30_cookies_on_loopback_are_plain(lab: AccountsLab):
    await lab.add_person("anna@example.com")
    cookies = read_cookies(await lab.open_browser().sign_in("anna@example.com"))
    assert set(cookies) == {"flowforge_sid", "flowforge_csrf"}
    for rules in cookies.values():
        assert "SameSite=Lax" in rules
        assert "Path=/" in rules
        assert "Secure" not in rules
        assert "Domain" not in rules
    assert "HttpOnly" in cookies["flowforge_sid"]
    assert "HttpOnly" not in cookies["flowforge_csrf"]


async def test_tok_30_cookies_of_a_public_server_are_bound_to_it(public_lab: AccountsLab):
    await public_lab.add_person("anna@example.com")
    answer = await public_lab.open_browser().sign_in("anna@example.com")
    cookies = read_cookies(answer)
    assert set(cookies) == {"__Host-flowforge_sid", "__Host-flowforge_csrf"}
    for rules in cookies.values():
        assert "Secure" in rules
        assert "Path=/" in rules
        assert "Domain" not in rules
    parsed = SimpleCookie(answer.headers.get_list("set-cookie")[0])
    plain = parsed["__Host-flowforge_sid"].value
    stranger = public_lab.open_browser()
    # The name without __Host- can be planted by a neighbouring site: it is never read here.
    assert (await stranger.get("/probes/who", cookie=f"flowforge_sid={plain}")).status_code == 401
    assert (await stranger.get("/probes/who", cookie=f"__Host-flowforge_sid={plain}")).status_code == 200


async def test_tok_31_two_cookies_of_our_name_are_refused(lab: AccountsLab):
    anna = await lab.enter()
    cookie = f"flowforge_sid={'x' * 43}; flowforge_sid={anna.sid}"
    answer = await lab.open_browser().get("/probes/who", cookie=cookie)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["code"] == "cookie_repeated"


async def test_tok_32_odd_cookie_headers_are_nobody(lab: AccountsLab):
    for cookie in [b"=", b"====", b";;;", b"\xff\xfe=\xff", b"flowforge_sid", b"flowforge_sid=="]:
        answer = await lab.open_browser().client.get("/api/v1/probes/who", headers={b"cookie": cookie})
        assert answer.status_code == 401


async def test_tok_32_a_huge_cookie_header_is_refused(lab: AccountsLab):
    answer = await lab.open_browser().client.get("/api/v1/probes/who", headers={"cookie": "a=" + "b" * 100_000})
    assert answer.status_code == 431


async def test_tok_33_changes_need_the_token_of_this_very_session(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com")
    assert (await anna.post("/probes/change")).status_code == 200
    assert await change(anna, x_csrf_token="") == REFUSED
    assert await change(anna, x_csrf_token="x" * 64) == REFUSED
    assert await change(anna, x_csrf_token=bob.csrf) == REFUSED
    # A sibling domain can plant the readable cookie, and send the same value in the header: it is no HMAC over this session.
    forged = await anna.post(
        "/probes/change", x_csrf_token="f" * 64, cookie=f"flowforge_sid={anna.sid}; flowforge_csrf={'f' * 64}"
    )
    assert forged.status_code == 403
    assert (await anna.get("/probes/who", x_csrf_token="")).status_code == 200


async def test_tok_34_signing_in_and_out_is_protected(lab: AccountsLab):
    await lab.add_person("anna@example.com")
    stranger = lab.open_browser()
    body = {"email": "anna@example.com", "password": PASSWORD}
    assert (await stranger.post("/auth/login", body, origin="https://evil.example")).status_code == 403
    assert (await stranger.post("/auth/login", body, sec_fetch_site="cross-site")).status_code == 403
    assert (await stranger.post("/auth/login", body, origin="null")).status_code == 403
    # A program sends no Origin at all.
    assert (await stranger.post("/auth/login", body, origin="")).status_code == 200
    await refuse_logout(stranger)


async def refuse_logout(browser: Browser) -> None:
    assert (await browser.post("/auth/logout", x_csrf_token="")).status_code == 403
    assert (await browser.post("/auth/logout", origin="https://evil.example")).status_code == 403
    assert (await browser.get("/probes/who")).status_code == 200


async def test_tok_35_changes_from_other_sites_are_refused(lab: AccountsLab):
    anna = await lab.enter()
    for headers in [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": "http://127.0.0.1.evil.example:8000"},
        {"origin": "https://127.0.0.1:8000"},
        {"sec_fetch_site": "cross-site"},
        {"origin": "", "sec_fetch_site": "cross-site"},
        {"origin": ""},
    ]:
        assert await change(anna, **headers) == REFUSED


async def test_tok_35_our_own_origins_are_taken(lab: AccountsLab):
    anna = await lab.enter()
    for headers in ({"origin": "http://localhost:8000"}, {"origin": "", "sec_fetch_site": "same-origin"}):
        assert (await anna.post("/probes/change", **headers)).status_code == 200


async def test_a_person_sees_and_ends_sessions(lab: AccountsLab):
    anna = await lab.enter()
    phone = lab.open_browser(address="10.1.2.3")
    await phone.sign_in("anna@example.com")
    rows = (await anna.get("/me/sessions")).json()["data"]
    assert [(row["current"], row["address"], row["method"]) for row in rows] == [
        (False, "10.1.2.3", "password"),
        (True, "127.0.0.1", "password"),
    ]
    assert (await anna.send("DELETE", f"/me/sessions/{rows[0]['id']}")).status_code == 204
    assert (await phone.get("/probes/who")).status_code == 401
    assert (await anna.get("/probes/who")).status_code == 200
    assert (await anna.send("DELETE", f"/me/sessions/{rows[0]['id']}")).status_code == 404
    assert (await anna.send("DELETE", "/me/sessions/nonsense")).status_code == 422


async def test_nobody_ends_the_sessions_of_others_by_their_ids(lab: AccountsLab):
    anna = await lab.enter()
    bob = await lab.enter("bob@example.com", "viewer")
    (row,) = (await anna.get("/me/sessions")).json()["data"]
    assert (await bob.send("DELETE", f"/me/sessions/{row['id']}")).status_code == 404
    assert (await anna.get("/probes/who")).status_code == 200


async def test_signing_out_everywhere_ends_all_of_them(lab: AccountsLab):
    anna = await lab.enter()
    phone = lab.open_browser()
    await phone.sign_in("anna@example.com")
    assert (await anna.send("DELETE", "/me/sessions")).status_code == 204
    assert (await anna.get("/probes/who")).status_code == 401
    assert (await phone.get("/probes/who")).status_code == 401


async def test_extending_starts_the_time_anew(lab: AccountsLab):
    anna = await lab.enter()
    before = (await anna.get("/auth/session")).json()["expires_at"]
    lab.clock.advance(3_600_000)
    after = (await anna.post("/auth/session/extend")).json()["expires_at"]
    assert after > before
    assert (await anna.get("/auth/session")).json()["expires_at"] == after


async def test_another_process_sees_at_the_next_request_that_a_session_ended(lab: AccountsLab):
    """Two gates on one database are two processes."""
    async with open_accounts_lab(lab.folder) as other:
        anna = await lab.enter()
        assert (await anna.get("/probes/who")).status_code == 200
        async with other.parts.database.write.begin() as session:
            row = (await session.scalars(select(SessionRow))).one()
            await end_session(session, row.user_id, row.id)
        assert (await anna.get("/probes/who")).status_code == 401
