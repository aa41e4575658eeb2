"""Mail servers in this process, with certificates of a throw-away authority: SMTP by aiosmtpd, IMAP by pymap, both on loopback."""

import asyncio
import ssl
import warnings
from argparse import Namespace
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.policy import default
from functools import cached_property
from typing import Any, cast

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config, DictBackend, Login
from pymap.backend.dict.mailbox import MailboxData
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials.flag import Flag

USER = "shop@example.com"
PASSWORD = "correct horse"


class Authority:
    """Issues certificates, and is trusted by nobody else."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    @property
    def pem(self) -> str:
        return self._authority.cert_pem.bytes().decode()

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """For clients."""
        context = ssl.create_default_context()
        cast("Any", self._authority).configure_trust(context)
        return context

    def issue(self, *names: str) -> ssl.SSLContext:
        """For a server of these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cast("Any", self._authority.issue_cert(*names)).configure_cert(context)
        return context


@dataclass
class Taken:
    """A message that the server took."""

    sender: str
    recipients: list[str]
    data: bytes
    options: list[str]

    @cached_property
    def message(self) -> Message:
        return cast("Message", message_from_bytes(self.data, policy=cast("Any", default)))


@dataclass
class SmtpServer:
    """Takes what it is sent. `replies` says otherwise: by recipient, or by `MAIL`, `DATA`, `AUTH`, the whole reply line."""

    port: int = 0
    taken: list[Taken] = field(default_factory=list[Taken])
    replies: dict[str, str] = field(default_factory=dict[str, str])
    signed_in: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    """User, and whether the connection was private."""
    users: dict[str, str] = field(default_factory=lambda: {USER: PASSWORD})
    connections: int = 0
    hangs: bool = False

    async def handle_EHLO(  # noqa: N802 - the library's names
        self, server: SMTP, session: Any, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self.hangs:
            await asyncio.Event().wait()
        return responses

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        if "MAIL" in self.replies:
            return self.replies["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        if address in self.replies:
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.replies:
            return self.replies["DATA"]
        data = envelope.original_content or b""
        self.taken.append(
            Taken(envelope.mail_from or "", [str(to) for to in envelope.rcpt_tos], data, [*map(str, envelope.mail_options)])
        )
        return "250 OK"

    async def auth_XOAUTH2(self, server: SMTP, arguments: list[str]) -> AuthResult:  # noqa: N802
        user, token = b64decode(arguments[1]).decode().removeprefix("user=").rstrip("\1").split("\1auth=Bearer ")
        if token != self.users.get(user):
            return AuthResult(success=False, handled=False, message="535 5.7.8 Token refused")
        self.signed_in.append((user, server.session is not None and server.session.ssl is not None))
        return AuthResult(success=True)

    async def handle_exception(self, error: Exception) -> str:
        return f"500 {type(error).__name__}"

    def authenticate(self, server: SMTP, session: Any, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        if self.users.get(data.login.decode()) != data.password.decode():
            return AuthResult(success=False, handled=False, message=self.replies.get("AUTH", "535 5.7.8 Authentication failed"))
        self.signed_in.append((data.login.decode(), session.ssl is not None))
        return AuthResult(success=True)


@asynccontextmanager
async def serve_smtp(
    tls: ssl.SSLContext | None = None, *, is_implicit: bool = False, size_max_bytes: int = 2**26, knows_utf8: bool = True
) -> AsyncGenerator[SmtpServer]:
    """A server that wants USER and PASSWORD; with TLS at once, or by STARTTLS, which it then requires; without TLS it wants nothing."""
    state = SmtpServer()
    loop = asyncio.get_running_loop()

    def make_protocol() -> SMTP:
        state.connections += 1
        with warnings.catch_warnings():
            # The library does not see that the connection is private from its beginning.
            warnings.simplefilter("ignore")
            return open_protocol()

    def open_protocol() -> SMTP:
        return SMTP(
            state,
            loop=loop,
            hostname="mail.example.com",
            data_size_limit=size_max_bytes,
            enable_SMTPUTF8=knows_utf8,
            tls_context=None if is_implicit else tls,
            require_starttls=tls is not None and not is_implicit,
            auth_required=tls is not None,
            auth_require_tls=not is_implicit,
            authenticator=state.authenticate,
        )

    listening = await loop.create_server(make_protocol, "127.0.0.1", 0, ssl=tls if is_implicit else None)
    state.port = listening.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        listening.close()


@dataclass
class ImapServer:
    """The mailbox of USER."""

    port: int
    backend: DictBackend

    async def open_folder(self, folder: str = "INBOX") -> MailboxData:
        """The folder itself; made if it is not there."""
        identity = self.backend.login.demo_user_identity
        async with identity.new_session() as session:
            folders = session.mailbox_set
            if folder != "INBOX" and folder not in [entry.name for entry in (await folders.list_mailboxes()).list()]:
                await folders.add_mailbox(folder)
            return await folders.get_mailbox(folder)

    async def add(self, *messages: bytes, folder: str = "INBOX", flags: Iterable[bytes] = ()) -> list[int]:
        """Puts messages there; their numbers."""
        place = await self.open_folder(folder)
        added: list[int] = []
        for data in messages:
            message = AppendMessage(data, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), frozenset(Flag(flag) for flag in flags))
            added.append((await place.append(message)).uid)
        return added

    async def list_flags(self, folder: str = "INBOX") -> dict[int, set[str]]:
        """Flags of each message by its number."""
        place = await self.open_folder(folder)
        return {message.uid: {str(flag) for flag in message.permanent_flags} async for message in cast("Any", place).messages()}


class BareConfig(Config):
    """Of a server that can neither MOVE nor delete single messages."""

    @property
    def login_capability(self) -> Sequence[bytes]:
        return []


@asynccontextmanager
async def serve_imap(
    tls: ssl.SSLContext | None,
    *,
    is_implicit: bool = True,
    uid_validity: int = 7,
    password: str = PASSWORD,
    is_bare: bool = False,
) -> AsyncGenerator[ImapServer]:
    """A server with an empty mailbox, with TLS at once or by STARTTLS; without a context it has none."""
    arguments = Namespace(passlib_cfg=None, proxy_protocol=None, inherited_sockets=None)
    config = (BareConfig if is_bare else Config)(
        arguments,
        host="127.0.0.1",
        port=0,
        demo_data=False,
        demo_user=USER,
        demo_password=password,
        ssl_context=tls,
        tls_enabled=not is_implicit,
        invalid_user_sleep=0.0,
    )
    async with AsyncExitStack() as stack:
        backend = await _start(config, stack)
        serve: Callable[..., Any] = ProxyProtocolReader(config.proxy_protocol).get_callback(IMAPServer(backend.login, config))
        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls if is_implicit else None)
        server = ImapServer(listening.sockets[0].getsockname()[1], backend)
        cast("Any", await server.open_folder())._uid_validity = uid_validity
        try:
            yield server
        finally:
            listening.close()


async def _start(config: Config, stack: AsyncExitStack) -> DictBackend:
    login = Login(config)
    await cast("Any", DictBackend)._add_demo_user(config, login)
    backend = DictBackend(login, config)
    config.apply_context()
    await backend.start(stack)
    return backend
