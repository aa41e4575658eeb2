"""Figures that nobody counts as they happen: how long the audit log is, and whether it is what was written."""

from typing import Final

from flowforge.audit.chain import find_head
from flowforge.audit.proving import verify_chain
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.clock import Clock
from flowforge.kit.signing import SigningKeys
from flowforge.kit.telemetry.logs import get_logger

FIGURES_EVERY_MS: Final = 15_000
_FIRST_AFTER_S: Final = 300
_AGAIN_AFTER_S: Final = 86_400

logger = get_logger("server.figures")


class AuditFigures:
    """Reads the log's length at each pass. Verifies the whole chain five minutes after the start, and then once a day."""

    def __init__(self, installation: Installation, signing: SigningKeys, clock: Clock) -> None:
        self._installation = installation
        self._signing = signing
        self._clock = clock
        self._next_s = clock.monotonic_s() + _FIRST_AFTER_S

    async def run_once(self) -> None:
        """Raises StorageError: the database cannot be used now."""
        sessions, metrics = self._installation.database.read, self._installation.metrics.server
        async with sessions() as session:
            head = await find_head(session)
        metrics.audit_rows.set(0 if head is None else head.no)
        if self._clock.monotonic_s() < self._next_s:
            return
        verdict = await verify_chain(sessions, self._signing.list_public())
        self._next_s = self._clock.monotonic_s() + _AGAIN_AFTER_S
        metrics.audit_checked_rows.set(verdict.checked)
        metrics.audit_broken.set(int(not verdict.is_valid))
        if not verdict.is_valid:
            logger.error("The audit log is not what was written.", row=verdict.first_bad, cause=verdict.message)
