"""The service that sends mail: to a server, or into the outbox folder where none is set."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from flowforge.kit.clock import Clock
from flowforge.kit.egress import EgressClient
from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.mail.connecting import Place, find_by_system
from flowforge.kit.mail.errors import MailError
from flowforge.kit.mail.servers import SMTP_SCHEMES, MailServer, parse_server

if TYPE_CHECKING:
    from flowforge.kit.mail.composing import Envelope, Letter
    from flowforge.kit.mail.mailbox import Mailbox
    from flowforge.kit.mail.transmission import MailTimes, Refusal

SMTP_PORTS: Final = frozenset({465, 587, 2525})
"""Ports that a step may send to without EGRESS_ALLOW. Not 25: servers talk to each other there, and what sends to it is often spam."""
IMAP_PORTS: Final = frozenset({143, 993})
DEFAULT_SENDER: Final = "flowforge@localhost"


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a mail. `outbox` is the file's place below the data folder, where no server was set."""

    message_id: str
    accepted: tuple[str, ...]
    refused: "tuple[Refusal, ...]"
    outbox: str | None


class Mailer:
    """Sends mail for steps, and opens mailboxes. Holds no connection between two calls, and is safe for many at once.

    `server_url` is the installation's SMTP server (see `parse_server`), which the administrator set and whose address is therefore not
    judged; without it mails are written into the folder `outbox`. `sender` is the address of mails that name none. Servers that a step
    names itself are judged by `egress`. `tls` replaces the trusted authorities of servers that bring none, `lead` says where a judged
    place is really connected to, `times` are the bounds of a delivery.

    Raises:
        ValidationError: the settings SMTP_URL or MAIL_FROM, from which the first two are, cannot be used.
    """

    def __init__(
        self,
        server_url: str | None,
        sender: str | None,
        outbox: Path,
        egress: EgressClient,
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        lead: Callable[[Place], Place] = lambda place: place,
        times: "MailTimes | None" = None,
    ) -> None:
        # Start-up cost: the grammar of addresses takes 5 ms to compile, and every process lists the operations.
        from flowforge.kit.mail.addresses import parse_address

        try:
            self._server = None if server_url is None else parse_server(server_url, SMTP_SCHEMES)
        except MailError as error:
            raise _refuse("SMTP_URL", error) from error
        try:
            self._sender = parse_address(sender or DEFAULT_SENDER)
        except MailError as error:
            raise _refuse("MAIL_FROM", error) from error
        self._outbox = outbox
        self._egress = egress
        self._clock = clock
        self._tls = tls
        self._lead = lead
        self._times = times

    async def send(self, letter: "Letter", *, key: str, server: MailServer | None = None) -> Delivery:
        """Sends the letter by `server`, else by the installation's. A second call with the same key sends the same Message-ID.

        Raises:
            MailError: nothing was sent, or (temporary faults) perhaps; see MailFault.
            EgressError: the step's own server may not be called.
            StorageError: the outbox cannot be written to.
        """
        # Start-up cost: the library of messages takes 15 ms to import.
        from flowforge.kit.mail.composing import compose
        from flowforge.kit.mail.outbox import put_in_outbox

        sender = letter.sender or self._sender
        now_ms = self._clock.now_ms()
        envelope = await asyncio.to_thread(compose, letter, sender, key=key, now_ms=now_ms)
        if server is not None:
            return await self._transmit(server, await self._find(server, SMTP_PORTS), envelope)
        if self._server is not None:
            return await self._transmit(self._server, await find_by_system(self._server), envelope)
        path = await asyncio.to_thread(put_in_outbox, self._outbox, envelope, now_ms)
        accepted = tuple(recipient.address for recipient in envelope.recipients)
        return Delivery(envelope.message_id, accepted, (), f"{path.parent.name}/{path.name}")

    async def visit(self, server: MailServer, work: "Callable[[Mailbox], Result]") -> Result:
        """Opens a mailbox and does the work there, in a thread; what the work returned. The connection is closed at the end.

        Raises:
            MailError: see `open_mailbox`, and what the work raises.
            EgressError: the server may not be called.
        """
        # Start-up cost: the library takes 30 ms to import.
        from flowforge.kit.mail.mailbox import open_mailbox

        places = await self._find(server, IMAP_PORTS)

        def run() -> Result:
            with open_mailbox(server, places, tls=self._trust(server)) as mailbox:
                return work(mailbox)

        return await asyncio.to_thread(run)

    async def _find(self, server: MailServer, usual_ports: frozenset[int]) -> list[Place]:
        addresses = await self._egress.find_addresses(server.host, server.port, usual_ports=usual_ports)
        return [self._lead((address, server.port)) for address in addresses]

    def _trust(self, server: MailServer) -> ssl.SSLContext | None:
        return self._tls if server.authority is None else None

    async def _transmit(self, server: MailServer, places: list[Place], envelope: "Envelope") -> Delivery:
        # Start-up cost: the library takes 40 ms to import.
        from flowforge.kit.mail.transmission import MailTimes, transmit

        refusals = await transmit(server, places, envelope, self._times or MailTimes(), self._trust(server))
        refused = {refusal.address for refusal in refusals}
        accepted = tuple(recipient.address for recipient in envelope.recipients if recipient.address not in refused)
        return Delivery(envelope.message_id, accepted, refusals, None)


def _refuse(setting: str, error: MailError) -> ValidationError:
    message = f"{setting}: {error.message}"
    return ValidationError(message, [Detail(field=setting, message=message, code=error.fault.value)])
