"""The world of the mail operations: an SMTP and an IMAP server under public names, and an outbox."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.attempts import Attempts, make_services
from tests.support.clock import ManualClock
from tests.support.mail_servers import PASSWORD, USER, Authority, ImapServer, SmtpServer, serve_imap, serve_smtp
from tests.support.network import PUBLIC_ADDRESS, World

from flowforge.kit.mail.connecting import Place
from flowforge.kit.mail.mailer import Mailer

EXAMPLE_PASSWORD = "${{ secrets.MAIL_PASSWORD }}"
EXAMPLE_MESSAGE = (
    b"From: Ada Lovelace <ada@example.com>\r\nTo: shop@example.com\r\nSubject: Order 42\r\n"
    b"Date: Fri, 2 Jan 2026 04:04:05 +0100\r\nMessage-ID: <1@example.com>\r\n\r\nHello!\r\n"
)
UID_VALIDITY = 1_767_322_800


@dataclass
class MailWorld:
    """`mail.example.com` and `imap.example.com` on their usual ports, with TLS at once."""

    network: World
    smtp: SmtpServer
    imap: ImapServer
    authority: Authority
    attempts: Attempts
    outbox: Path
    clock: ManualClock


@asynccontextmanager
async def open_mail_world(folder: Path, *, server_url: str | None = None, password: str = PASSWORD) -> AsyncGenerator[MailWorld]:
    """`server_url` is the installation's server."""
    authority = Authority()
    async with (
        serve_smtp(authority.issue("mail.example.com"), is_implicit=True) as smtp,
        serve_imap(authority.issue("imap.example.com"), uid_validity=UID_VALIDITY, password=password) as imap,
    ):
        smtp.users = {USER: password, "reports@example.com": password}
        ports = {465: smtp.port, 993: imap.port}

        def lead(place: Place) -> Place:
            network.connected.append(place)
            return ("127.0.0.1", ports[place[1]]) if place[0] == PUBLIC_ADDRESS else place

        network = World()
        network.names.set("mail.example.com", [PUBLIC_ADDRESS])
        network.names.set("imap.example.com", [PUBLIC_ADDRESS])
        client = network.make_client()
        services = make_services(folder, client)
        clock = ManualClock()
        outbox = folder / "mail"
        mailer = Mailer(server_url, None, outbox, client, clock, tls=authority.trust, lead=lead)
        attempts = Attempts({**services, Mailer: mailer})
        try:
            yield MailWorld(network, smtp, imap, authority, attempts, outbox, clock)
        finally:
            await client.aclose()


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[Attempts]:
    """What the examples speak of: one message in the mailbox, and whoever has the password."""
    async with open_mail_world(folder, password=EXAMPLE_PASSWORD) as world:
        await world.imap.add(EXAMPLE_MESSAGE)
        yield world.attempts
