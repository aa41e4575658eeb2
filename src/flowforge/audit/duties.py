"""Work in the background; each pass may be repeated, and done by several processes at once.

`CheckpointDuty`: each minute, or each CHECKPOINT_EVERY where that is shorter. `RetentionDuty`: hourly. `ExportDuty`: each minute.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flowforge.audit import chain, retention
from flowforge.audit.checkpoints import make_checkpoint
from flowforge.audit.service import record_as
from flowforge.audit.sinks import ObjectSink, Sink, SyslogSink, list_progress
from flowforge.audit.syslog import read_place
from flowforge.audit.types import SYSTEM_ACTOR, Author
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import DependencyError, Detail, ValidationError
from flowforge.kit.settings import Settings
from flowforge.kit.signing import SigningKeys
from flowforge.kit.telemetry.logs import get_logger

if TYPE_CHECKING:
    from flowforge.kit.objects.shelf import Shelf

RETIRED: Final = "audit.retired"
"""The action of the row that says up to where rows were deleted for their age."""
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DELETE_BATCH_ROWS: Final = 500
_SETTING: Final = "AUDIT_EXPORT_URL"
_OBJECTS_SETTING: Final = "OBJECT_STORE_URL"
"""The setting that is written in the same way."""

logger = get_logger("audit")


class CheckpointDuty:
    """Signs the end of the chain every CHECKPOINT_EVERY, if anything was added."""

    def __init__(self, database: Database, signing: SigningKeys, clock: Clock, every_ms: int) -> None:
        self._database = database
        self._signing = signing
        self._clock = clock
        self._every_ms = every_ms
        self.interval_ms: Final = min(every_ms, MINUTE_MS)

    async def run_once(self) -> None:
        async with self._database.write.begin() as session:
            await make_checkpoint(session, self._signing, self._clock.now_ms(), every_ms=self._every_ms)


class RetentionDuty:
    """Deletes rows older than KEEP_AUDIT, up to a checkpoint; what stays is verified from that checkpoint on.

    What a sink has not got yet stays.
    """

    interval_ms: Final = HOUR_MS

    def __init__(self, database: Database, clock: Clock, keep_ms: int, sinks: Sequence[str] = ()) -> None:
        """`keep_ms` 0: for ever. `sinks`: the names of those that are set."""
        self._database = database
        self._clock = clock
        self._keep_ms = keep_ms
        self._sinks = sinks

    async def run_once(self) -> None:
        if not self._keep_ms:
            return
        up_to = await self._mark()
        deleted = DELETE_BATCH_ROWS
        while deleted == DELETE_BATCH_ROWS:
            async with self._database.write.begin() as session:
                deleted = await retention.delete_retired(session, up_to, DELETE_BATCH_ROWS)

    async def _mark(self) -> int:
        now_ms = self._clock.now_ms()
        async with self._database.write.begin() as session:
            head = await chain.lock_head(session)
            retired = head.retired_up_to
            sent = {sink.name: sink.row_no for sink in await list_progress(session)}
            most = min([head.no, *(sent.get(name, 0) for name in self._sinks)])
            found = await retention.find_retirable(session, now_ms - self._keep_ms, most)
            if found is None or found <= retired:
                return retired
            await retention.mark_retired(session, found)
            author = Author(SYSTEM_ACTOR, at_ms=now_ms)
            await record_as(session, author, RETIRED, "audit", str(found), before={"up_to": retired}, after={"up_to": found})
            return found


class ExportDuty:
    """Sends what is new to each sink. One that fails does not keep the others from theirs."""

    interval_ms: Final = MINUTE_MS

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    async def run_once(self) -> None:
        """Raises the fault of the last sink that failed; the log tells of each."""
        failed: DependencyError | None = None
        for sink in self._sinks:
            try:
                await sink.run_once()
            except DependencyError as fault:
                logger.warning("The audit log could not be sent.", sink=sink.name, cause=fault.message)
                failed = fault
        if failed is not None:
            raise failed


def list_sinks(settings: Settings, database: Database, clock: Clock) -> list[Sink]:
    """Those that AUDIT_EXPORT_URL and AUDIT_SYSLOG_URL name.

    Raises:
        ValidationError: AUDIT_EXPORT_URL names neither a folder nor a bucket.
    """
    sinks: list[Sink] = []
    if settings.audit_export_url is not None:
        sinks.append(ObjectSink(database, clock, _open_shelf(settings.audit_export_url.get_secret_value())))
    if settings.audit_syslog_url is not None:
        sinks.append(SyslogSink(database, clock, read_place(settings.audit_syslog_url)))
    return sinks


def list_duties(
    settings: Settings, database: Database, signing: SigningKeys, clock: Clock
) -> list[CheckpointDuty | RetentionDuty | ExportDuty]:
    """All of them; each has `interval_ms`."""
    sinks = list_sinks(settings, database, clock)
    duties: list[CheckpointDuty | RetentionDuty | ExportDuty] = [
        CheckpointDuty(database, signing, clock, settings.checkpoint_every_ms),
        RetentionDuty(database, clock, settings.keep_audit_ms, [sink.name for sink in sinks]),
    ]
    return [*duties, ExportDuty(sinks)] if sinks else duties


def _open_shelf(url: str) -> "Shelf":
    # Only who exports loads what reaches a bucket.
    from flowforge.kit.objects.location import open_shelf

    try:
        return open_shelf(url)
    except ValidationError as fault:
        message = fault.message.replace(_OBJECTS_SETTING, _SETTING)
        raise ValidationError(message, [Detail(field=f"FLOWFORGE_{_SETTING}", message=message, code="setting_invalid")]) from None
