"""Passwords: signing in, failing to, forgetting, setting anew, registering, and second factors."""

import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pwdlib import PasswordHash
from pyotp.totp import TOTP
from sqlalchemy import select
from tests.support.accounts_lab import PASSWORD, AccountsLab, Browser, open_accounts_lab
from tests.support.mail_servers import serve_smtp

from flowforge.identity.models_accounts import OneTimeLinkRow, PasswordRow
from flowforge.identity.throttling import count_attempt, make_scopes
from flowforge.identity.totp import reencrypt_second_factors, seal_totp_secret
from flowforge.kit.keyring import Keyring
from flowforge.web.errors import RateLimitedError

NEW = "another sentence entirely"
MINUTE_MS = 60_000


async def ask_for_reset(lab: AccountsLab, email: str, browser: Browser | None = None) -> None:
    answer = await (browser or lab.open_browser()).post("/auth/password-reset", {"email": email})
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"message": "If there is such an account, a mail is on its way."}
    await lab.accounts.letters.run_once()


def find_token(mail: str) -> str:
    text = mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
    match = re.search(r"/sign-in#(?:reset|confirm)=([\w-]{43})", text)
    assert match is not None, text
    return match[1]


async def confirm(lab: AccountsLab, token: Any, password: str = NEW) -> int:
    answer = await lab.open_browser().post("/auth/password-reset/confirm", {"token": token, "password": password})
    return answer.status_code


async def try_to_sign_in(lab: AccountsLab, password: str = PASSWORD, email: str = "anna@example.com", **more: str) -> int:
    return (await lab.open_browser().sign_in(email, password, **more)).status_code


@pytest.mark.parametrize("email", ["anna@example.com", "ANNA@Example.COM", " anna@example.com "])
async def test_case_and_spaces_of_an_email_do_not_count(email: str, lab: AccountsLab):
    await lab.add_person("Anna@example.com")
    assert await try_to_sign_in(lab, email=email) == 200


async def test_every_failure_says_the_same(lab: AccountsLab):
    await lab.enter()
    disabled = await lab.add_person("bob@example.com")
    await lab.add_person("cleo@example.com", password=None)
    boss = lab.open_browser()
    await boss.sign_in("anna@example.com")
    await boss.post(f"/users/{disabled}/disable")
    answers: list[Any] = []
    for email, password in (
        ("anna@example.com", "a wrong password"),
        ("bob@example.com", PASSWORD),
        ("cleo@example.com", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("no email at all", PASSWORD),
        ("anna@example.com", PASSWORD + "x" * 200),
    ):
        answer = await lab.open_browser().sign_in(email, password)
        error = answer.json()["error"]
        answers.append((answer.status_code, error["message"], error["details"], answer.headers["www-authenticate"]))
    assert len({str(answer) for answer in answers}) == 1, answers
    assert answers[0][0] == 401


async def test_tok_42_the_work_tells_nothing_of_accounts(lab: AccountsLab, monkeypatch: pytest.MonkeyPatch):
    """One comparison of the same cost, whether there is such an account, may sign in, or has a password."""
    await lab.add_person("anna@example.com")
    await lab.add_person("bare@example.com", password=None)
    costs: list[str] = []
    verify = PasswordHash.verify_and_update

    def count(self: PasswordHash, password: str, stored: str) -> tuple[bool, str | None]:
        costs.append(stored.rsplit("$", 2)[0])
        return verify(self, password, stored)

    monkeypatch.setattr(PasswordHash, "verify_and_update", count)
    emails = ("anna@example.com", "bare@example.com", "nobody@example.com")
    answers = [await try_to_sign_in(lab, "a wrong password", email) for email in emails]
    assert answers == [answers[0]] * 3
    assert costs == [costs[0]] * 3
    assert costs[0].startswith("$argon2id$")


async def test_tok_42_ten_wrong_passwords_of_one_account_from_anywhere(lab: AccountsLab):
    await lab.add_person("anna@example.com")
    for number in range(10):
        stranger = lab.open_browser(address=f"10.0.0.{number}")
        assert (await stranger.sign_in("anna@example.com", "a wrong password")).status_code == 401
    refused = await lab.open_browser(address="10.9.9.9").sign_in("anna@example.com")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "60"
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    # The same for an account that does not exist.
    for number in range(10):
        await lab.open_browser(address=f"10.0.1.{number}").sign_in("nobody@example.com")
    assert (await lab.open_browser(address="10.9.9.8").sign_in("nobody@example.com")).status_code == 429
    lab.clock.advance(MINUTE_MS)
    assert await try_to_sign_in(lab) == 200


async def test_tok_42_twenty_from_one_address_and_the_wait_doubles(lab: AccountsLab):
    waits: list[int] = []
    now_ms = lab.clock.now_ms()
    for turn in range(6):
        for number in range(20):
            async with lab.parts.database.write.begin() as session:
                await count_attempt(session, make_scopes(f"person{turn}{number}@example.com", "10.0.0.1"), now_ms)
        async with lab.parts.database.write.begin() as session:
            with pytest.raises(RateLimitedError) as refused:
                await count_attempt(session, make_scopes("anna@example.com", "10.0.0.1"), now_ms)
            await count_attempt(session, make_scopes("anna@example.com", "10.0.0.2"), now_ms)
        waits.append(refused.value.retry_after_s)
        now_ms += waits[-1] * 1_000
    assert waits == [60, 120, 240, 480, 900, 900]


async def test_tok_42_failures_count_in_all_processes(lab: AccountsLab):
    await lab.add_person("anna@example.com")
    async with open_accounts_lab(lab.folder) as other:
        for number in range(10):
            place = (lab, other)[number % 2]
            assert await try_to_sign_in(place, "a wrong password") == 401
        assert await try_to_sign_in(lab) == 429
        assert await try_to_sign_in(other) == 429


async def test_people_who_sign_in_often_are_not_blocked(lab: AccountsLab):
    await lab.add_person("anna@example.com")
    for _ in range(22):
        assert await try_to_sign_in(lab) == 200


async def test_a_password_is_reset_by_mail_once(lab: AccountsLab):
    anna = await lab.enter()
    await ask_for_reset(lab, "ANNA@example.com")
    (mail,) = lab.read_mails()
    assert "To: anna@example.com" in mail
    token = find_token(mail)
    assert await confirm(lab, token, "short") == 422
    assert (await lab.open_browser().post("/auth/link", {"token": token})).status_code == 401, (
        "it sets a password and does no more"
    )
    assert await confirm(lab, token) == 204
    assert await confirm(lab, token) == 401
    assert (await anna.get("/probes/who")).status_code == 401
    assert await try_to_sign_in(lab) == 401
    assert await try_to_sign_in(lab, NEW) == 200
    assert "user.password_reset" in await lab.list_actions()


async def test_a_reset_link_is_good_for_thirty_minutes_and_the_last_one_counts(lab: AccountsLab):
    await lab.add_person("anna@example.com")
    await ask_for_reset(lab, "anna@example.com")
    lab.clock.advance(1_000)
    await ask_for_reset(lab, "anna@example.com")
    first, second = (find_token(mail) for mail in lab.read_mails())
    assert await confirm(lab, first) == 401
    lab.clock.advance(30 * MINUTE_MS)
    assert await confirm(lab, second) == 401


async def test_no_mail_for_an_unknown_or_disabled_account(lab: AccountsLab):
    boss = await lab.enter()
    user_id = await lab.add_person("bob@example.com")
    await boss.post(f"/users/{user_id}/disable")
    for email in ("nobody@example.com", "bob@example.com"):
        await ask_for_reset(lab, email)
    assert lab.read_mails() == []
    async with lab.parts.database.read() as session:
        assert (await session.scalars(select(OneTimeLinkRow))).all() == []


async def test_nobody_fills_anothers_mailbox(lab: AccountsLab):
    await lab.add_person("anna@example.com")
    for number in range(5):
        await ask_for_reset(lab, "anna@example.com", lab.open_browser(address=f"10.0.0.{number}"))
    answer = await lab.open_browser(address="10.0.0.9").post("/auth/password-reset", {"email": "anna@example.com"})
    assert answer.status_code == 429


@pytest.mark.parametrize("token", [None, "", [], {}, "null", "x" * 43, "é" * 43, 7, "x" * 201])
async def test_a15_empty_and_foreign_tokens_open_nothing(token: object, lab: AccountsLab):
    await lab.add_person("anna@example.com")
    assert await confirm(lab, token) in {401, 422}
    answer = await lab.open_browser().post("/auth/link", {"token": token})
    assert answer.status_code in {401, 422}
    assert (await lab.open_browser().post("/auth/link", {})).status_code == 422


@pytest.mark.parametrize("name", ["x_forwarded_host", "forwarded", "x_original_host", "referer", "x_forwarded_proto"])
async def test_a15_links_in_mails_never_come_from_the_request(name: str, public_lab: AccountsLab):
    lab = public_lab
    await lab.add_person("anna@example.com")
    browser = lab.open_browser()
    browser.client.headers[name.replace("_", "-")] = "evil.example"
    await ask_for_reset(lab, "anna@example.com", browser)
    (mail,) = lab.read_mails()
    assert "evil.example" not in mail
    assert "https://flow.example.com/sign-in#reset" in mail.replace("=\n", "").replace("=\r\n", "")


async def test_a15_another_host_or_origin_is_refused_before_any_mail(public_lab: AccountsLab):
    browser = public_lab.open_browser()
    body = {"email": "anna@example.com"}
    assert (await browser.post("/auth/password-reset", body, host="evil.example")).status_code == 400
    assert (await browser.post("/auth/password-reset", body, origin="https://evil.example")).status_code == 403


async def test_the_mail_goes_over_a_real_server_and_waits_while_that_refuses(tmp_path: Path):
    async with serve_smtp() as server:
        url = f"smtp://127.0.0.1:{server.port}"
        async with open_accounts_lab(tmp_path, settings={"smtp_url": url}) as lab:
            await lab.add_person("anna@example.com")
            server.replies["DATA"] = "451 4.7.1 Later, please"
            await ask_for_reset(lab, "anna@example.com")
            assert server.taken == []
            del server.replies["DATA"]
            lab.clock.advance(5_000)
            await lab.accounts.letters.run_once()
            assert server.taken == []
            lab.clock.advance(MINUTE_MS)
            await lab.accounts.letters.run_once()
            await lab.accounts.letters.run_once()
            (mail,) = server.taken
            assert mail.recipients == ["anna@example.com"]
            assert await confirm(lab, find_token(mail.data.decode())) == 204


async def test_somebody_registers_confirms_and_has_no_rights(public_lab: AccountsLab):
    lab, zoe = public_lab, public_lab.open_browser()
    body = {"email": "zoe@example.com", "password": NEW, "name": "Zoe"}
    assert (await zoe.post("/auth/register", body)).status_code == 202
    assert await try_to_sign_in(lab, NEW, "zoe@example.com") == 401
    await lab.accounts.letters.run_once()
    (mail,) = lab.read_mails()
    assert "user.created" in await lab.list_actions()
    answer = await zoe.post("/auth/link", {"token": find_token(mail)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["confirmed"] is True
    assert (await zoe.get("/me")).json()["name"] == "Zoe"
    assert (await zoe.get("/probes/read")).status_code == 403
    assert await try_to_sign_in(lab, NEW, "zoe@example.com") == 200


async def test_registering_tells_nobody_that_there_is_an_account(public_lab: AccountsLab):
    lab = public_lab
    await lab.add_person("anna@example.com")
    answers = [
        (await lab.open_browser().post("/auth/register", {"email": email, "password": NEW}))
        for email in ("anna@example.com", "new@example.com")
    ]
    assert answers[0].status_code == answers[1].status_code == 202
    assert answers[0].json() == answers[1].json()
    assert await try_to_sign_in(lab, NEW) == 401
    assert await try_to_sign_in(lab) == 200


async def test_nobody_registers_where_that_is_off(lab: AccountsLab):
    answer = await lab.open_browser().post("/auth/register", {"email": "zoe@example.com", "password": NEW})
    assert (answer.status_code, answer.json()["error"]["details"][0]["code"]) == (403, "registration_off")


async def test_local_accounts_can_be_switched_off(tmp_path: Path):
    async with open_accounts_lab(tmp_path, settings={"local_accounts": False}) as lab:
        await lab.add_person("anna@example.com")
        assert await try_to_sign_in(lab) == 403
        assert (await lab.open_browser().post("/auth/password-reset", {"email": "anna@example.com"})).status_code == 403
        assert (await lab.open_browser().get("/auth/config")).json()["local_accounts"] is False


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "my anna@example.com!", "abababababababab"])
async def test_weak_passwords_are_refused(password: str, lab: AccountsLab):
    anna = await lab.enter()
    answer = await anna.send("PUT", "/me/password", {"password": password, "current_password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]["details"][0]["code"]) == (422, "password_weak")


async def test_somebody_changes_the_password_and_other_sessions_end(lab: AccountsLab):
    anna = await lab.enter()
    phone = lab.open_browser()
    await phone.sign_in("anna@example.com")
    wrong = await anna.send("PUT", "/me/password", {"password": NEW, "current_password": "a wrong password"})
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["code"]) == (422, "password_wrong")
    assert (await anna.send("PUT", "/me/password", {"password": NEW})).status_code == 422
    done = await anna.send("PUT", "/me/password", {"password": NEW, "current_password": PASSWORD})
    assert done.status_code == 204
    assert (await anna.get("/probes/who")).status_code == 200
    assert (await phone.get("/probes/who")).status_code == 401
    assert await try_to_sign_in(lab, NEW) == 200


async def test_a_password_is_stored_as_argon2id(tmp_path: Path):
    async with open_accounts_lab(tmp_path, is_hashing_fast=False) as lab:
        await lab.add_person("anna@example.com")
        await check_hash(lab)


async def check_hash(lab: AccountsLab) -> None:
    async with lab.parts.database.read() as session:
        row = (await session.scalars(select(PasswordRow))).one()
    assert (row.hash or "").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_second_factor_is_set_up_asked_for_and_switched_off(lab: AccountsLab):
    anna = await lab.enter()
    assert (await anna.post("/me/totp", {})).status_code == 422
    begun = (await anna.post("/me/totp", {"current_password": PASSWORD})).json()
    assert begun["enabled"] is False
    assert begun["url"].startswith("otpauth://totp/FlowForge:anna%40example.com?secret=")
    codes = TOTP(begun["secret"])
    assert await try_to_sign_in(lab) == 200

    def show(steps_on: int = 0) -> str:
        return codes.generate_otp(lab.clock.now_ms() // 30_000 + steps_on)

    assert (await anna.post("/me/totp", {"code": show(5)})).status_code == 422
    assert (await anna.post("/me/totp", {"code": show()})).json()["enabled"] is True
    refused = await lab.open_browser().sign_in("anna@example.com")
    assert (refused.status_code, refused.json()["error"]["details"][0]["code"]) == (401, "code_required")
    assert await try_to_sign_in(lab, code=show()) == 401, "the code was taken when it was set up"
    lab.clock.advance(30_000)
    assert await try_to_sign_in(lab, code=show(5)) == 401
    assert await try_to_sign_in(lab, "a wrong password", code=show()) == 401
    assert await try_to_sign_in(lab, code=show()) == 200
    assert await try_to_sign_in(lab, code=show()) == 401, "no code is taken twice"
    assert (await anna.post("/me/totp", {"current_password": PASSWORD})).status_code == 409
    assert (await anna.send("DELETE", "/me/totp", {"current_password": "a wrong password"})).status_code == 422
    assert (await anna.send("DELETE", "/me/totp", {"current_password": PASSWORD})).status_code == 204
    assert await try_to_sign_in(lab) == 200
    async with lab.parts.database.read() as session:
        row = (await session.scalars(select(PasswordRow))).one()
    assert row.totp_sealed is None
    assert {"user.totp_enabled", "user.totp_disabled"} <= set(await lab.list_actions())


async def test_basic_authentication_is_off_and_then_over_https_only(lab: AccountsLab, tmp_path: Path):
    await lab.add_person("anna@example.com", "owner")
    basic = "Basic " + b64encode(f"anna@example.com:{PASSWORD}".encode()).decode()
    assert (await lab.open_browser().get("/probes/who", authorization=basic)).status_code == 401
    settings = {"basic_auth": True, "public_url": "https://flow.example.com"}
    async with open_accounts_lab(lab.folder, settings=settings) as plain:
        assert (await plain.open_browser().get("/probes/who", authorization=basic)).status_code == 401
    async with open_accounts_lab(lab.folder, settings=settings, origin="https://flow.example.com") as secure:
        browser = secure.open_browser()
        assert (await browser.get("/probes/who", authorization=basic)).json()["kind"] == "basic"
        assert (await browser.post("/probes/change", origin="", authorization=basic)).status_code == 200
        evil = await browser.post("/probes/change", origin="https://evil.example", authorization=basic)
        assert evil.status_code == 403
        assert (await browser.get("/keys", authorization=basic)).status_code == 403
        for wrong in ("Basic", "Basic !!!", "Basic " + "Zm9v", basic[:-6] + "AAAA=="):
            assert (await browser.get("/probes/who", authorization=wrong)).status_code == 401


async def test_tok_44_second_factors_are_sealed_anew_and_an_unknown_key_is_no_fault_of_ours(lab: AccountsLab):
    anna = await lab.enter()
    begun = (await anna.post("/me/totp", {"current_password": PASSWORD})).json()
    code = TOTP(begun["secret"]).generate_otp(lab.clock.now_ms() // 30_000)
    await anna.post("/me/totp", {"code": code})
    lab.clock.advance(30_000)
    code = TOTP(begun["secret"]).generate_otp(lab.clock.now_ms() // 30_000)
    old, new = b"o" * 32, b"n" * 32
    async with lab.parts.database.write.begin() as session:
        row = (await session.scalars(select(PasswordRow))).one()
        seal_totp_secret(row, begun["secret"], Keyring(old))
        row.totp_since = 1
    assert await try_to_sign_in(lab, code=code) == 401
    async with lab.parts.database.write.begin() as session:
        assert await reencrypt_second_factors(session, Keyring(new, (old,))) == (1, ())
        assert await reencrypt_second_factors(session, Keyring(new)) == (0, ())
        assert await reencrypt_second_factors(session, Keyring(old)) == (0, (row.user_id,))


async def test_tok_42_whoever_knows_the_password_does_not_guess_codes_for_ever(lab: AccountsLab):
    anna = await lab.enter()
    begun = (await anna.post("/me/totp", {"current_password": PASSWORD})).json()
    await anna.post("/me/totp", {"code": TOTP(begun["secret"]).generate_otp(lab.clock.now_ms() // 30_000)})
    statuses: list[int] = []
    for number in range(12):
        statuses.append(await try_to_sign_in(lab, code=f"{number:06d}"))
        statuses.append(await try_to_sign_in(lab))
    assert 429 in statuses
    assert statuses[-2:] == [429, 429]
