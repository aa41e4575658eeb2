"""What triggers want done again and again, in the process that serves (`up`) or by the elected scheduler of a cluster.

| duty | class | wants to run every | closes |
|---|---|---|---|
| `schedules` | `schedule_firing.ScheduleDuty` | 1 s, or at `find_next_at()` | - |
| `events` | `event_listening.EventDuty` | 1 s | - |
| `files` | `file_watching.FileDuty` | 1 s | `close()` |
| `mailboxes` | `mail_polling.MailDuty` | 5 s | - |
| `requests` | `recording.Recorder` | 1 s | - |

Each has `run_once()`, which may be repeated, and made by several processes at once, without harm; it raises StorageError or
DependencyError where it cannot go on now. In a cluster `clock` is the database's (`DatabaseClock`), so that nothing fires early, and
folders are watched where the elected scheduler runs. `requests` belongs to every process that takes webhooks or fires anything.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.keyring import Keyring
from flowforge.kit.limits import Limits
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.objects import ObjectStore
from flowforge.language.catalog import Catalog
from flowforge.triggers import event_listening, file_watching, mail_polling, recording, schedule_firing
from flowforge.triggers.event_listening import EventDuty
from flowforge.triggers.file_watching import FileDuty
from flowforge.triggers.firing import Firing
from flowforge.triggers.inputs import Inputs
from flowforge.triggers.mail_polling import MailDuty
from flowforge.triggers.schedule_firing import ScheduleDuty


@dataclass(frozen=True, slots=True)
class TriggerParts:
    """What the duties work with. `folders`: the file roots by name, as FILE_ROOTS has them."""

    database: Database
    firing: Firing
    catalog: Catalog
    limits: Limits
    clock: Clock
    keyring: Keyring
    mailer: Mailer
    objects: ObjectStore
    folders: dict[str, Path]


@dataclass(frozen=True, slots=True)
class TriggerDuty:
    """A duty by its name; `every_ms`: how often it wants to be run."""

    name: str
    every_ms: int
    run_once: Callable[[], Awaitable[None]]


def list_trigger_duties(parts: TriggerParts, stack: AsyncExitStack) -> Sequence[TriggerDuty]:
    """All of them; what must be closed at the end is put on the stack."""
    inputs = Inputs(parts.database.read, parts.catalog, parts.limits)
    files = FileDuty(parts.database, parts.firing, parts.folders, parts.clock)
    stack.push_async_callback(files.close)
    schedules = ScheduleDuty(parts.database, parts.firing, parts.clock)
    events = EventDuty(parts.database, parts.firing, inputs, parts.clock)
    mailboxes = MailDuty(parts.database, parts.firing, parts.mailer, parts.objects, parts.keyring, parts.clock)
    return (
        TriggerDuty("schedules", schedule_firing.EVERY_MS, schedules.run_once),
        TriggerDuty("events", event_listening.EVERY_MS, events.run_once),
        TriggerDuty("files", file_watching.EVERY_MS, files.run_once),
        TriggerDuty("mailboxes", mail_polling.EVERY_MS, mailboxes.run_once),
        TriggerDuty("requests", recording.EVERY_MS, parts.firing.recorder.run_once),
    )
