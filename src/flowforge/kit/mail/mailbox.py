"""A mailbox on a server, over IMAP (RFC 3501, 4315, 6851). Everything here blocks; imported late: the library takes 30 ms."""

import imaplib
import re
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from socket import socket
from typing import Any, Final, cast

from imap_tools import A, U
from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError
from imap_tools.mailbox import BaseMailBox
from imap_tools.utils import encode_folder

from flowforge.kit.mail.connecting import Place, connect_blocking, explain_tls
from flowforge.kit.mail.errors import MailError, MailFault
from flowforge.kit.mail.servers import MailServer, TlsMode

_LITERAL_MAX_BYTES: Final = 26 * 1024 * 1024
_LINES_MAX_BYTES: Final = 64 * 1024 * 1024
"""All lines that a server may send on one connection."""
_CHUNK_UIDS: Final = 200
_EXCERPT_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class ImapTimes:
    """Bounds in seconds: to connect, for one reply, for the whole connection."""

    connect_s: float = 10
    reply_s: float = 60
    total_s: float = 300


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which messages; all that are given must hold. Texts are found anywhere in the field. Dates are the server's."""

    unseen: bool | None = None
    flagged: bool | None = None
    sender: str | None = None
    to: str | None = None
    subject: str | None = None
    text: str | None = None
    since: date | None = None
    before: date | None = None
    after_uid: int | None = None

    def write(self) -> str:
        """As the command SEARCH takes it; texts are quoted."""
        keys: dict[str, Any] = {
            "seen": None if self.unseen is None else not self.unseen,
            "flagged": self.flagged,
            "from_": self.sender,
            "to": self.to,
            "subject": self.subject,
            "text": self.text,
            "date_gte": self.since,
            "date_lt": self.before,
            "uid": None if self.after_uid is None else U(str(self.after_uid + 1), "*"),
        }
        given = {key: value for key, value in keys.items() if value is not None}
        return str(A(**given)) if given else "ALL"


class _Client(imaplib.IMAP4):
    """The library's client on a socket of ours, that takes neither more bytes nor more time than it should."""

    def __init__(self, server: MailServer, connected: socket, tls: ssl.SSLContext, times: ImapTimes) -> None:
        self._server = server
        self._connected = connected
        self._tls = tls
        self._lines_left_bytes = _LINES_MAX_BYTES
        self._deadline_s = time.monotonic() + times.total_s
        super().__init__(server.host, server.port, times.reply_s)

    def _create_socket(self, timeout: float | None) -> socket:
        self._connected.settimeout(timeout)
        if self._server.tls is not TlsMode.IMPLICIT:
            return self._connected
        return self._tls.wrap_socket(self._connected, server_hostname=self._server.host)

    def read(self, size: int) -> bytes:
        self._check_time()
        if size > _LITERAL_MAX_BYTES:
            raise self.abort(f"it sent {size} bytes at once")
        return super().read(size)

    def readline(self) -> bytes:
        self._check_time()
        line = super().readline()
        self._lines_left_bytes -= len(line)
        if self._lines_left_bytes < 0:
            raise self.abort("it sent more lines than any mailbox has")
        return line

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline_s:
            raise TimeoutError("no end in time")


class _Session(BaseMailBox):
    """The library's mailbox on such a client."""

    def __init__(self, make_client: Callable[[], _Client]) -> None:
        self._make_client = make_client
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return self._make_client()


class Mailbox:
    """A folder of a mailbox, opened by `open_mailbox`."""

    def __init__(self, session: _Session, server: MailServer) -> None:
        self._session = session
        self._server = server
        self.uid_validity = 0
        """Numbers of messages mean the same as long as this is the same (RFC 3501, 2.3.1.1)."""

    def select(self, folder: str, *, is_readonly: bool) -> None:
        """Opens the folder.

        Raises:
            MailError: `folder_missing`.
        """
        try:
            cast("Any", self._session.folder).set(folder, is_readonly)
        except MailboxFolderSelectError as error:
            raise MailError(
                MailFault.FOLDER_MISSING, f"The mailbox has no folder {folder!r} that can be opened ({_excerpt(error)})."
            ) from error
        said = self._client.response("UIDVALIDITY")[1][0]
        self.uid_validity = int(said) if isinstance(said, bytes) and said.isdigit() else 0

    @property
    def _client(self) -> imaplib.IMAP4:
        return self._session.client

    def search(self, criteria: Criteria) -> list[int]:
        """The numbers of the messages that match, rising."""
        written = criteria.write()
        found = self._session.uids(written, "US-ASCII" if written.isascii() else "UTF-8")
        after = criteria.after_uid or 0
        # `n:*` always holds the last message, also one before n.
        return sorted(uid for uid in map(int, found) if uid > after)

    def read_sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """Sizes in bytes by number, as the server reckons them."""
        sizes: dict[int, int] = {}
        for chunk in _chunks(uids):
            for text, _ in self._fetch(chunk, "(UID RFC822.SIZE)"):
                uid, size = re.search(rb"UID (\d{1,10})", text), re.search(rb"RFC822\.SIZE (\d{1,15})", text)
                if uid is not None and size is not None:
                    sizes[int(uid[1])] = int(size[1])
        return sizes

    def read(self, uid: int) -> bytes | None:
        """The whole message, which stays as unseen as it is; None if it is gone."""
        for text, literal in self._fetch(str(uid), "(UID BODY.PEEK[])"):
            if literal is not None and re.search(rb"UID %d\b" % uid, text) and b"BODY[]" in text.upper():
                return literal
        return None

    def _fetch(self, chunk: str, items: str) -> Iterator[tuple[bytes, bytes | None]]:
        """Each line of the answer, with the literal behind it if there is one."""
        for item in self._command("FETCH", chunk, items):
            match item:
                case (bytes(text), bytes(literal)):
                    yield text, literal
                case bytes(text):
                    yield text, None
                case _:
                    pass

    def mark(self, uids: Sequence[int], *, flag: str, is_set: bool) -> None:
        """Sets or takes away a flag such as `\\Seen`. Messages that are gone are passed over."""
        for chunk in _chunks(uids):
            self._command("STORE", chunk, "+FLAGS.SILENT" if is_set else "-FLAGS.SILENT", f"({flag})")

    def move(self, uids: Sequence[int], folder: str) -> None:
        """Moves messages to a folder that exists; where the server has no MOVE, by a copy that is deleted here.

        Raises:
            MailError: `folder_missing`: the server would not; nothing of this chunk was moved.
        """
        target = cast("str", encode_folder(folder))
        for chunk in _chunks(uids):
            if "MOVE" in self._client.capabilities:
                self._put("MOVE", chunk, target, folder)
            else:
                self._put("COPY", chunk, target, folder)
                self._remove(chunk)

    def delete(self, uids: Sequence[int]) -> None:
        """Deletes messages for good. Where the server cannot delete single ones (UIDPLUS), they are only marked as deleted."""
        for chunk in _chunks(uids):
            self._remove(chunk)

    def _remove(self, chunk: str) -> None:
        self._command("STORE", chunk, "+FLAGS.SILENT", r"(\Deleted)")
        if "UIDPLUS" in self._client.capabilities:
            # A plain EXPUNGE would take what others have marked, too.
            self._command("EXPUNGE", chunk)

    def _put(self, command: str, chunk: str, target: str, folder: str) -> None:
        status, data = self._client.uid(command, chunk, target)
        if status != "OK":
            raise MailError(
                MailFault.FOLDER_MISSING,
                f"The server would not put messages into the folder {folder!r} ({_show(data)}); create it first.",
            )

    def _command(self, command: str, *arguments: str) -> list[Any]:
        status, data = self._client.uid(command, *arguments)
        if status != "OK":
            raise MailError(
                MailFault.PROTOCOL, f"The mail server {self._server.place} refused {command} ({_show(data)}).", is_temporary=True
            )
        return data


@contextmanager
def open_mailbox(
    server: MailServer, places: Sequence[Place], times: ImapTimes | None = None, tls: ssl.SSLContext | None = None
) -> Generator[Mailbox]:
    """A connection to the first of the places that answers, signed in; closed at the end, errors of the inside told as MailError.

    Raises:
        MailError: `connection_failed`, `tls`, `mail_auth`, `mail_timeout`, `mail_server_error`, and what the mailbox raises.
    """
    bounds = times or ImapTimes()
    context = tls or server.make_tls_context()
    session: _Session | None = None
    connected = connect_blocking(server, places, bounds.connect_s)
    try:
        session = _Session(lambda: _Client(server, connected, context, bounds))
        _secure(session, server, context)
        _sign_in(session, server)
        _refresh_capabilities(session)
        yield Mailbox(session, server)
    except ssl.SSLError as error:
        raise explain_tls(server, error) from error
    except TimeoutError as error:
        raise MailError(MailFault.TIMEOUT, f"The mail server {server.place} did not answer in time.") from error
    except (OSError, imaplib.IMAP4.abort) as error:
        raise MailError(
            MailFault.CONNECTION_FAILED, f"The connection to the mail server {server.place} broke ({_excerpt(error)})."
        ) from error
    except (imaplib.IMAP4.error, ImapToolsError) as error:
        raise MailError(MailFault.PROTOCOL, f"The mail server {server.place} would not: {_excerpt(error)}.") from error
    finally:
        if session is not None:
            # Everything that counts was confirmed before.
            with suppress(OSError, imaplib.IMAP4.error, ImapToolsError):
                session.client.sock.settimeout(1)
                session.client.logout()
            # After a fault the library leaves the socket open.
            with suppress(OSError):
                session.client.shutdown()
        connected.close()


def _secure(session: _Session, server: MailServer, context: ssl.SSLContext) -> None:
    if server.tls is not TlsMode.STARTTLS:
        return
    if "STARTTLS" not in session.client.capabilities:
        raise MailError(
            MailFault.TLS,
            f"The mail server {server.place} offers no STARTTLS; use imaps:// or, in a network you trust, ?tls=none.",
        )
    session.client.starttls(context)


def _sign_in(session: _Session, server: MailServer) -> None:
    if server.user is None:
        raise MailError(MailFault.AUTH, "A mailbox is opened by a user; give the user in the URL or apart from it.")
    password = server.password or ""
    try:
        if server.token is not None:
            session.xoauth2(server.user, server.token, None)
        elif server.user.isascii() and password.isascii():
            session.login(server.user, password, None)
        else:
            session.login_utf8(server.user, password, None)
    except imaplib.IMAP4.abort:
        raise
    except (MailboxLoginError, imaplib.IMAP4.error) as error:
        raise MailError(
            MailFault.AUTH, f"The mail server {server.place} refused the user, password or token ({_excerpt(error)})."
        ) from error


def _refresh_capabilities(session: _Session) -> None:
    """Servers tell MOVE and UIDPLUS only to who has signed in, and the library asks before."""
    said = session.client.capability()[1][0]
    if isinstance(said, bytes):
        session.client.capabilities = tuple(said.decode("ascii", errors="replace").upper().split())


def _chunks(uids: Sequence[int]) -> Iterator[str]:
    for start in range(0, len(uids), _CHUNK_UIDS):
        yield ",".join(map(str, uids[start : start + _CHUNK_UIDS]))


def _excerpt(error: Exception) -> str:
    if isinstance(error, MailboxLoginError | MailboxFolderSelectError):
        return _show(cast("Any", error).command_result[1])
    return " ".join(str(error).split())[:_EXCERPT_CHARACTERS].rstrip(".")


def _show(data: object) -> str:
    first = cast("list[object]", data)[0] if isinstance(data, list) and data else cast("object", data)
    text = first.decode("utf-8", errors="replace") if isinstance(first, bytes) else str(first)
    return " ".join(text.split())[:_EXCERPT_CHARACTERS].rstrip(".")
