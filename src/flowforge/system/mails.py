"""The built-in outbox: mails that lie in a folder while no server for them is set."""

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Final

from flowforge.kit.errors import Detail, NotFoundError

_TEXT_MOST: Final = 200_000
_ID: Final = re.compile(r"[0-9]{8}T[0-9]{9}Z-[0-9a-f]{12}")


class MailNotFoundError(NotFoundError):
    """There is no such mail."""

    def __init__(self, mail_id: str) -> None:
        message = f"There is no mail {mail_id[:80]!r} in the outbox."
        super().__init__(message, [Detail("", message, "mail_unknown")])


@dataclass(frozen=True, slots=True)
class Mail:
    """`at`: RFC 3339, from the file's name."""

    id: str
    at: str
    sender: str
    to: str
    subject: str
    text: str
    attachments: tuple[str, ...]


def list_mails(folder: Path, before: str | None, limit: int) -> list[Mail]:
    """The newest, or those before one of this id, the last one first. Blocks."""
    found = sorted((path for path in folder.glob("*.eml") if _ID.fullmatch(path.stem)), reverse=True)
    return [_read(path) for path in [path for path in found if before is None or path.stem < before][:limit]]


def get_mail(folder: Path, mail_id: str) -> Mail:
    """Blocks. Raises MailNotFoundError."""
    path = folder / f"{mail_id}.eml"
    if not _ID.fullmatch(mail_id) or not path.is_file():
        raise MailNotFoundError(mail_id)
    return _read(path)


def _read(path: Path) -> Mail:
    message = message_from_bytes(path.read_bytes(), policy=default)
    body = message.get_body(("plain", "html"))
    text = "" if body is None else str(body.get_content())
    stamp = path.stem
    day = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
    return Mail(
        id=stamp,
        at=f"{day}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}.{stamp[15:18]}Z",
        sender=str(message["from"] or ""),
        to=str(message["to"] or ""),
        subject=str(message["subject"] or ""),
        text=text[:_TEXT_MOST],
        attachments=tuple(part.get_filename() or "file" for part in message.iter_attachments()),
    )
