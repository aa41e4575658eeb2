"""What settings ask of who is wired above them, and how others see them without asking the database each time."""

from dataclasses import dataclass
from typing import Final, Protocol

from flowforge.configuration.service import read_settings
from flowforge.configuration.types import RuntimeSettings
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database

FRESH_S: Final = 5.0
"""Another process sees a change within this time; this one at once."""


class OnSettingsChanged(Protocol):
    """Wired under this class: called in this process when settings are committed."""

    def __call__(self, settings: RuntimeSettings) -> None: ...


@dataclass(slots=True)
class PresentSettings:
    """The settings as they are, at most FRESH_S old. It is an `OnSettingsChanged`."""

    database: Database
    clock: Clock
    _settings: RuntimeSettings | None = None
    _read_s: float = float("-inf")

    def __call__(self, settings: RuntimeSettings) -> None:
        self._settings, self._read_s = settings, self.clock.monotonic_s()

    async def read(self) -> RuntimeSettings:
        """Raises StorageError: they were never read, and the database is away."""
        now_s = self.clock.monotonic_s()
        if self._settings is None or now_s - self._read_s > FRESH_S:
            async with self.database.read() as session:
                self._settings, _ = await read_settings(session)
            self._read_s = now_s
        return self._settings
