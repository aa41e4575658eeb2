"""One message to one server over SMTP (RFC 5321, 3207, 4954, 6531). Imported late: the library takes 40 ms."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiosmtplib

from flowforge.kit.mail.composing import Envelope
from flowforge.kit.mail.connecting import Place, connect, explain_tls
from flowforge.kit.mail.errors import MailError, MailFault
from flowforge.kit.mail.servers import MailServer, TlsMode
from flowforge.kit.units import format_size

_REPLY_MAX_CHARACTERS: Final = 500
_TOO_LARGE: Final = 552


@dataclass(frozen=True, slots=True)
class MailTimes:
    """Bounds of a delivery, in seconds: to connect, for one command's reply, for the whole."""

    connect_s: float = 10
    command_s: float = 60
    total_s: float = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient that the server did not take, with its reply."""

    address: str
    status: int
    message: str


async def transmit(
    server: MailServer, places: Sequence[Place], envelope: Envelope, times: MailTimes, tls: ssl.SSLContext | None = None
) -> tuple[Refusal, ...]:
    """Hands the message over; who was refused, where others were taken.

    Once the server has the whole message and the connection breaks before it has said so, the error is temporary and another attempt may
    deliver it twice, with the same Message-ID.

    Raises:
        MailError: see MailFault; `is_temporary` where the server's reply is of the class 4yz or nothing definite was heard.
    """
    try:
        async with asyncio.timeout(times.total_s):
            context = tls or await asyncio.to_thread(server.make_tls_context)
            return await _talk(server, places, envelope, times, context)
    except aiosmtplib.SMTPTimeoutError as error:
        raise _late(server) from error
    except TimeoutError as error:
        raise _late(server) from error
    except ssl.SSLError as error:
        raise explain_tls(server, error) from error
    except aiosmtplib.SMTPResponseException as error:
        raise _explain_reply(server, error) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise explain_tls(server, error.__cause__) from error
        raise _lost(server, error) from error


async def _talk(
    server: MailServer, places: Sequence[Place], envelope: Envelope, times: MailTimes, tls: ssl.SSLContext
) -> tuple[Refusal, ...]:
    connected = await connect(server, places, times.connect_s)
    own_address = connected.getsockname()[0]
    client = aiosmtplib.SMTP(
        hostname=server.host,
        sock=connected,
        timeout=times.command_s,
        use_tls=server.tls is TlsMode.IMPLICIT,
        start_tls=False,
        tls_context=tls,
        # The library would ask the name service for our name, which few machines have.
        local_hostname=f"[IPv6:{own_address}]" if ":" in own_address else f"[{own_address}]",
    )
    try:
        await client.connect()
        await _secure(client, server)
        await _sign_in(client, server)
        return await _deliver(client, server, envelope)
    finally:
        await _leave(client)
        connected.close()


async def _secure(client: aiosmtplib.SMTP, server: MailServer) -> None:
    await client.ehlo()
    if server.tls is not TlsMode.STARTTLS:
        return
    if not client.supports_extension("starttls"):
        raise MailError(
            MailFault.TLS,
            f"The mail server {server.place} offers no STARTTLS; use smtps:// or, in a network you trust, ?tls=none.",
        )
    await client.starttls()
    await client.ehlo()


async def _sign_in(client: aiosmtplib.SMTP, server: MailServer) -> None:
    if server.user is None:
        return
    if not client.supports_extension("auth"):
        raise MailError(MailFault.AUTH, f"The mail server {server.place} lets nobody sign in; leave the user out of its URL.")
    try:
        if server.token is not None:
            await client.auth_xoauth2(server.user, server.token)
        else:
            await client.login(server.user, server.password or "")
    except aiosmtplib.SMTPAuthenticationError as error:
        raise MailError(
            MailFault.AUTH,
            f"The mail server {server.place} refused the user, password or token ({_excerpt(error.code, error.message)}).",
            is_temporary=400 <= error.code < 500,
            status=error.code,
        ) from error
    except aiosmtplib.SMTPServerDisconnected:
        raise
    except aiosmtplib.SMTPException as error:
        raise MailError(MailFault.AUTH, f"No way to sign in at the mail server {server.place} is known to both sides.") from error


async def _deliver(client: aiosmtplib.SMTP, server: MailServer, envelope: Envelope) -> tuple[Refusal, ...]:
    options = _choose_options(client, server, envelope)
    encoding = "utf-8" if envelope.needs_utf8 else "ascii"
    try:
        await client.mail(envelope.sender.address, options=options, encoding=encoding)
    except aiosmtplib.SMTPSenderRefused as error:
        fault = MailFault.TOO_LARGE if error.code == _TOO_LARGE else MailFault.SENDER_REFUSED
        raise _refused(fault, server, f"the sender {envelope.sender.address}", error) from error
    refusals: list[Refusal] = []
    for recipient in envelope.recipients:
        try:
            await client.rcpt(recipient.address, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            refusals.append(Refusal(recipient.address, error.code, error.message[:_REPLY_MAX_CHARACTERS]))
    if len(refusals) == len(envelope.recipients):
        raise _refuse_all(server, refusals)
    try:
        await client.data(envelope.data)
    except aiosmtplib.SMTPDataError as error:
        fault = MailFault.TOO_LARGE if error.code == _TOO_LARGE else MailFault.MESSAGE_REFUSED
        raise _refused(fault, server, "the message", error) from error
    return tuple(refusals)


def _choose_options(client: aiosmtplib.SMTP, server: MailServer, envelope: Envelope) -> list[str]:
    options: list[str] = []
    if client.supports_extension("size"):
        options.append(f"SIZE={len(envelope.data)}")
        offered = client.esmtp_extensions.get("size", "").strip()
        if offered.isdecimal() and 0 < int(offered) < len(envelope.data):
            raise MailError(
                MailFault.TOO_LARGE,
                f"The mail has {format_size(len(envelope.data))}, and the server {server.place} takes {format_size(int(offered))}.",
            )
    if envelope.needs_utf8:
        if not client.supports_extension("smtputf8"):
            raise MailError(
                MailFault.UTF8_MISSING,
                f"An address has letters before the @ that only servers with SMTPUTF8 take, and {server.place} has it not.",
            )
        options.append("SMTPUTF8")
        if client.supports_extension("8bitmime"):
            options.append("BODY=8BITMIME")
    return options


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Says goodbye within a second; what the server did before stays as it is."""
    try:
        if client.is_connected:
            await client.quit(timeout=1)
    except (aiosmtplib.SMTPException, OSError):
        client.close()
    finally:
        client.close()


def _refuse_all(server: MailServer, refusals: list[Refusal]) -> MailError:
    told = "; ".join(f"{refusal.address}: {_excerpt(refusal.status, refusal.message)}" for refusal in refusals[:5])
    return MailError(
        MailFault.RECIPIENTS_REFUSED,
        f"The mail server {server.place} took none of the {len(refusals)} recipients ({told}).",
        is_temporary=any(400 <= refusal.status < 500 for refusal in refusals),
        replies=tuple((refusal.address, refusal.status, refusal.message) for refusal in refusals),
    )


def _refused(fault: MailFault, server: MailServer, what: str, error: aiosmtplib.SMTPResponseException) -> MailError:
    return MailError(
        fault,
        f"The mail server {server.place} refused {what} ({_excerpt(error.code, error.message)}).",
        is_temporary=400 <= error.code < 500,
        status=error.code,
    )


def _explain_reply(server: MailServer, error: aiosmtplib.SMTPResponseException) -> MailError:
    return MailError(
        MailFault.PROTOCOL,
        f"The mail server {server.place} answered {_excerpt(error.code, error.message)} where it should have agreed.",
        is_temporary=400 <= error.code < 500,
        status=error.code,
    )


def _lost(server: MailServer, error: Exception) -> MailError:
    return MailError(MailFault.CONNECTION_FAILED, f"The connection to the mail server {server.place} broke ({str(error)[:200]}).")


def _late(server: MailServer) -> MailError:
    return MailError(MailFault.TIMEOUT, f"The mail server {server.place} did not answer in time.")


def _excerpt(status: int, message: str) -> str:
    return f"{status} {' '.join(message.split())[:_REPLY_MAX_CHARACTERS]}"
