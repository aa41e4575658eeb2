"""The folder in which mails lie that no server was set for."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from flowforge.kit.atomic import write_atomic
from flowforge.kit.folder import explain_os_error
from flowforge.kit.mail.composing import Envelope, with_blind_copies


def put_in_outbox(folder: Path, envelope: Envelope, now_ms: int) -> Path:
    """Writes the message whole as `<time in UTC>-<short id>.eml`; one that is there already, by its Message-ID, stays as it is.

    The file names blind copies too. Blocks.

    Raises:
        StorageFullError: there is no room on the disk; nothing is written.
        StorageError: the folder cannot be written to.
    """
    short_id = hashlib.sha256(envelope.message_id.encode()).hexdigest()[:12]
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    path = folder / f"{moment:%Y%m%dT%H%M%S}{now_ms % 1000:03d}Z-{short_id}.eml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = next(folder.glob(f"*-{short_id}.eml"), None)
        if present is not None:
            return present
        write_atomic(path, with_blind_copies(envelope))
    except OSError as fault:
        raise explain_os_error(fault, folder) from fault
    return path
