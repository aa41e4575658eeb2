"""The example `invoices-from-mail`: from a folder, from a mailbox, and the report."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.installed import EXAMPLES, Installed, Shell, open_installed
from tests.support.mail_servers import PASSWORD, USER, ImapServer, serve_imap

from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.mail.reading import ReceivedMail, read_mail
from flowforge.kit.values import JsonObject
from flowforge.vault.service import set_secret

FOLDER = EXAMPLES / "invoices-from-mail"
INVOICES = [
    ("billing@bolts.example", "BN-1001", "2026-05-04", "EUR", 119.0),
    ("billing@bolts.example", "BN-1002", "2026-05-18", "EUR", 80.5),
    ("buchhaltung@mueller.example", "M-77", "2026-05-29", "EUR", 249.99),
]
RECORDED = [["BN-1001", "BN-1002"], ["M-77"], [], []]


def read_table(work: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(work / "invoices.db")) as database:
        return database.execute("SELECT supplier, number, date, currency, amount FROM invoices ORDER BY number").fetchall()


def read_outbox(data: Path) -> list[ReceivedMail]:
    return [read_mail(file.read_bytes()) for file in sorted((data / "mail").iterdir())]


def fill(work: Path) -> None:
    shutil.copytree(FOLDER / "inbox", work / "inbox")


@pytest.mark.slow(60)
async def test_from_a_folder_and_then_the_report(tmp_path: Path):
    async with open_installed(tmp_path) as place:
        fill(place.work)
        first = await place.run(FOLDER / "invoices-from-folder.yaml")
        again = await place.run(FOLDER / "invoices-from-folder.yaml")
        assert read_table(place.work) == INVOICES
        report = await place.run(FOLDER / "weekly-report.yaml", {"to": "Books <books@shop.example>"})
        (mail,) = read_outbox(tmp_path / "data")
    assert (first.status, again.status, report.status) == ("completed", "completed", "completed")
    assert [found["recorded"] for found in cast("Any", first.output)["mails"]] == RECORDED
    assert cast("Any", first.output)["mails"][1]["subject"] == "Rechnung M-77 – fällig am 30. Juni"
    assert cast("Any", again.output)["recorded"] == []
    assert cast("Any", report.output)["invoices"] == 3
    assert (mail.subject, mail.to[0].address) == ("Invoices of the week: 3", "books@shop.example")
    assert "<td>249.99 EUR</td>" in (mail.html or "")
    assert "buchhaltung@mueller.example\t1\t249.99 EUR" in (mail.text or "")
    assert len(mail.attachments[0].read().decode().splitlines()) == 4


async def put_secret(place: Installed, *hosts: str) -> None:
    installation = place.installation
    async with installation.database.write.begin() as session:
        await set_secret(
            session, installation.keyring, DEFAULT_WORKSPACE_ID, "MAIL_PASSWORD", value=PASSWORD, hosts=hosts, at_ms=1_000
        )


async def put_mails(imap: ImapServer) -> None:
    await imap.add(*(file.read_bytes() for file in sorted((FOLDER / "inbox").iterdir())))


@pytest.mark.slow(60)
async def test_from_a_mailbox(tmp_path: Path):
    async with serve_imap(None) as imap, open_installed(tmp_path, EGRESS_ALLOW=f"127.0.0.1:{imap.port}") as place:
        await put_secret(place, "127.0.0.1")
        await put_mails(imap)
        given: JsonObject = {"server": f"imap://127.0.0.1:{imap.port}", "user": USER}
        ended = await place.run(FOLDER / "invoices-from-mailbox.yaml", given)
        again = await place.run(FOLDER / "invoices-from-mailbox.yaml", given)
        assert read_table(place.work) == INVOICES
        flags = await imap.list_flags()
    assert (ended.status, again.status) == ("completed", "completed")
    assert [found["recorded"] for found in cast("Any", ended.output)["mails"]] == RECORDED
    assert cast("Any", again.output)["mails"] == []
    assert list(flags.values()) == [{"\\Seen"}] * 4
    assert PASSWORD not in json.dumps([*ended.events, *again.events])


@pytest.mark.slow(60)
async def test_a_mail_that_cannot_be_handled_stays_unseen(tmp_path: Path):
    async with serve_imap(None) as imap, open_installed(tmp_path, EGRESS_ALLOW=f"127.0.0.1:{imap.port}") as place:
        await put_secret(place)
        broken = (FOLDER / "inbox" / "3-reminder.eml").read_bytes().replace(b"119.00\n", b"119.00,one,too,many\n")
        await imap.add(broken)
        ended = await place.run(FOLDER / "invoices-from-mailbox.yaml", {"server": f"imap://127.0.0.1:{imap.port}", "user": USER})
        assert ended.status == "failed"
        assert list((await imap.list_flags()).values()) == [set()]


@pytest.mark.slow(60)
def test_the_commands_of_the_readme(tmp_path: Path):
    work = tmp_path / "place"
    shutil.copytree(FOLDER, work)
    shell = Shell(tmp_path, {"FILE_ROOTS": "work=."}, work)
    recorded = shell.call("run", "invoices-from-folder.yaml")[-1]["output"]
    sent = shell.call("run", "weekly-report.yaml")[-1]["output"]
    assert cast("Any", recorded)["recorded"] == ["BN-1001", "BN-1002", "M-77"]
    assert (tmp_path / "data" / str(cast("Any", sent)["outbox"])).is_file()
