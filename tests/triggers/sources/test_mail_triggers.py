"""Mailboxes start runs: a real IMAP server, each message once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from tests.steps.email.world import MailWorld, open_mail_world
from tests.support.mail_servers import PASSWORD, USER
from tests.support.trigger_lab import TriggerLab, make_firing, open_trigger_lab
from tests.support.web_lab import open_web_lab

from flowforge.kit.errors import ConflictError, DependencyError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.keyring import Keyring
from flowforge.kit.limits import Limits
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject
from flowforge.triggers import mail_polling
from flowforge.triggers.mail_polling import POLL_MS, MailDuty, name_message
from flowforge.triggers.mail_trigger import EMAIL, check_mailbox
from flowforge.vault import service as vault

CONFIG: JsonObject = {"host": "imap.example.com", "user": USER, "password": "${{ secrets.MAILBOX }}"}
WITH_FILE = (
    b"From: Ada <ada@example.com>\r\nTo: shop@example.com\r\nSubject: Invoice\r\nMessage-ID: <file@example.com>\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee below\r\n--b\r\nContent-Type: text/csv\r\n"
    b"Content-Disposition: attachment; filename=i.csv\r\n\r\nid\r\n7\r\n--b--\r\n"
)


def letter(subject: str, message_id: str | None = None) -> bytes:
    named = "" if message_id is None else f"Message-ID: <{message_id}>\r\n"
    return f"From: ada@example.com\r\nTo: shop@example.com\r\nSubject: {subject}\r\n{named}\r\nHello\r\n".encode()


@dataclass
class MailLab:
    """Triggers beside a mail server."""

    mail: MailWorld
    triggers: TriggerLab
    keyring: Keyring

    def make_duty(self) -> MailDuty:
        lab, services = self.triggers, self.mail.attempts.services
        firing = make_firing(lab.database, lab.runner, lab.clock)
        mailer, objects = cast("Mailer", services[Mailer]), cast("ObjectStore", services[ObjectStore])
        return MailDuty(lab.database, firing, mailer, objects, self.keyring, lab.clock)

    async def set_secret(self, value: str = PASSWORD, hosts: tuple[str, ...] = ()) -> None:
        async with self.triggers.database.write.begin() as session:
            await vault.set_secret(session, self.keyring, DEFAULT_WORKSPACE_ID, "MAILBOX", value=value, hosts=hosts, at_ms=1)

    async def poll(self, duty: MailDuty) -> None:
        self.triggers.clock.advance(POLL_MS)
        await duty.run_once()

    async def list_subjects(self) -> list[str]:
        return [str(run.trigger["subject"]) for run in await self.triggers.list_runs()]


@asynccontextmanager
async def open_mail_lab(folder: Path) -> AsyncGenerator[MailLab]:
    async with open_mail_world(folder) as mail, open_trigger_lab(folder, 1_775_034_000_000) as triggers:
        lab = MailLab(mail, triggers, Keyring.generate())
        await lab.set_secret()
        yield lab


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[MailLab]:
    async with open_mail_lab(tmp_path) as lab:
        yield lab


async def test_a_message_that_comes_starts_one_run_with_its_parts(lab: MailLab):
    await lab.mail.imap.add(letter("Old"))
    await lab.triggers.add("email", CONFIG)
    duty = lab.make_duty()
    await duty.run_once()
    await lab.mail.imap.add(WITH_FILE, letter("Plain"))
    await lab.poll(duty)
    await lab.poll(lab.make_duty())
    first, second = await lab.triggers.list_runs()
    assert isinstance(first.input, dict)
    assert first.input["from"] == {"name": "Ada", "address": "ada@example.com"}
    assert (first.input["subject"], first.input["text"]) == ("Invoice", "See below")
    (attachment,) = cast("list[dict[str, Any]]", first.input["attachments"])
    objects = cast("ObjectStore", lab.mail.attempts.services[ObjectStore])
    assert objects.read(attachment["file"]["$file"]["id"]) == b"id\r\n7"
    assert second.trigger["subject"] == "Plain"
    assert list((await lab.mail.imap.list_flags()).values()) == [set(), set(), set()], "the mailbox is left as it is"


async def test_a_mailbox_is_looked_into_at_intervals(lab: MailLab):
    await lab.triggers.add("email", CONFIG)
    duty = lab.make_duty()
    await duty.run_once()
    await lab.mail.imap.add(letter("One"))
    lab.triggers.clock.advance(POLL_MS - 1)
    await duty.run_once()
    assert await lab.list_subjects() == []
    lab.triggers.clock.advance(1)
    await duty.run_once()
    assert await lab.list_subjects() == ["One"]


async def test_more_messages_than_one_look_takes_come_one_after_the_other(lab: MailLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mail_polling, "MESSAGES_MAX", 2)
    await lab.triggers.add("email", CONFIG)
    duty = lab.make_duty()
    await duty.run_once()
    await lab.mail.imap.add(*(letter(str(number)) for number in range(5)))
    await lab.poll(duty)
    for _ in range(2):
        await duty.run_once()
    assert await lab.list_subjects() == ["0", "1", "2", "3", "4"]


async def test_a_folder_that_is_made_anew_starts_no_message_twice(lab: MailLab):
    await lab.triggers.add("email", CONFIG)
    duty = lab.make_duty()
    lab.triggers.clock.set_wall(1_767_322_800_000)  # the server's messages come on 2 January 2026
    await duty.run_once()
    await lab.mail.imap.add(letter("One", "one@example.com"))
    await lab.poll(duty)
    cast("Any", await lab.mail.imap.open_folder())._uid_validity = 99
    await lab.mail.imap.add(letter("Two", "two@example.com"))
    await lab.poll(duty)
    await lab.poll(duty)
    assert await lab.list_subjects() == ["One", "Two"]


async def test_two_pollers_start_one_run_for_each_message(lab: MailLab):
    await lab.triggers.add("email", CONFIG)
    duties = [lab.make_duty(), lab.make_duty()]
    await duties[0].run_once()
    await lab.mail.imap.add(letter("One"), letter("Two", "two@example.com"))
    lab.triggers.clock.advance(POLL_MS)
    await asyncio.gather(*(duty.run_once() for duty in duties))
    assert sorted(await lab.list_subjects()) == ["One", "Two"]


async def test_a_message_is_tried_again_and_one_that_is_refused_is_not(lab: MailLab):
    await lab.triggers.add("email", CONFIG)
    duty = lab.make_duty()
    await duty.run_once()
    await lab.mail.imap.add(letter("One"), letter("Two"))
    lab.triggers.runner.faults = [DependencyError("Away.")]
    await lab.poll(duty)
    assert await lab.list_subjects() == []
    lab.triggers.runner.faults = [ConflictError("Full.")]
    await lab.poll(duty)
    await lab.poll(duty)
    assert await lab.list_subjects() == ["Two"]


async def test_a_mailbox_that_refuses_is_asked_less_and_less_often(lab: MailLab):
    await lab.set_secret("wrong")
    await lab.triggers.add("email", CONFIG)
    duty = lab.make_duty()
    await duty.run_once()
    asked = len(lab.mail.network.connected)
    lab.triggers.clock.advance(POLL_MS)
    await duty.run_once()
    assert len(lab.mail.network.connected) == asked + 1
    lab.triggers.clock.advance(POLL_MS)
    await duty.run_once()
    assert len(lab.mail.network.connected) == asked + 1, "the pause has doubled"
    await lab.set_secret()
    lab.triggers.clock.advance(POLL_MS)
    await duty.run_once()
    await lab.mail.imap.add(letter("One"))
    await lab.poll(duty)
    assert await lab.list_subjects() == ["One"]


async def test_a_message_above_the_size_is_passed_over(lab: MailLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mail_polling, "MESSAGE_MAX_BYTES", 500)
    await lab.triggers.add("email", CONFIG)
    duty = lab.make_duty()
    await duty.run_once()
    await lab.mail.imap.add(letter("Large") + b"x" * 1_000, letter("Small"))
    await lab.poll(duty)
    assert await lab.list_subjects() == ["Small"]


async def test_a_connection_is_tested(tmp_path: Path):
    async with open_mail_world(tmp_path) as mail:
        ports = {Mailer: mail.attempts.services[Mailer]}
        async with open_web_lab(tmp_path, [], ports=cast("dict[type, object]", ports)) as web:

            async def set_secret(hosts: tuple[str, ...] = ()) -> None:
                async with web.parts.database.write.begin() as session:
                    keyring, name = web.parts.keyring, "MAILBOX"
                    await vault.set_secret(session, keyring, DEFAULT_WORKSPACE_ID, name, value=PASSWORD, hosts=hosts, at_ms=1)

            missing = await EMAIL.test(web.call(), CONFIG)
            assert missing.is_successful is False
            await set_secret()
            tested = await EMAIL.test(web.call(), CONFIG)
            assert tested.message == "Signed in at imap.example.com:993; the folder INBOX can be opened."
            assert tested.is_successful is True
            other_folder = await EMAIL.test(web.call(), {**CONFIG, "folder": "None"})
            assert other_folder.is_successful is False
            await set_secret(hosts=("elsewhere.example.com",))
            elsewhere = await EMAIL.test(web.call(), CONFIG)
            assert elsewhere.is_successful is False
            assert PASSWORD not in elsewhere.message


@pytest.mark.parametrize(
    ("config", "field"),
    [({"host": "a b"}, "host"), ({"host": "a/../b"}, "host"), ({"host": "x", "folder": "a\r\nb"}, "folder")],
)
async def test_bad_mailboxes_are_refused(config: JsonObject, field: str, lab: MailLab):
    async with lab.triggers.database.read() as session:
        faults = await check_mailbox(session, DEFAULT_WORKSPACE_ID, {"user": "u", **config}, Limits(), 0)
        assert [fault.field for fault in faults] == [field]
        assert await check_mailbox(session, DEFAULT_WORKSPACE_ID, CONFIG, Limits(), 0) == ()


def test_a_message_without_an_id_is_named_by_its_number():
    assert name_message({"message_id": None}, 7, 3) == "7.3"
    assert name_message({"message_id": "<a>"}, 7, 3) == name_message({"message_id": "<a>"}, 8, 4)
