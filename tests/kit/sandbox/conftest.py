"""A sandbox with low limits of time, and what its scripts logged."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest

from flowforge.kit.limits import Limits
from flowforge.kit.sandbox.errors import HostFault, SandboxError
from flowforge.kit.sandbox.pool import Language, SandboxPool, Script
from flowforge.kit.values import JsonObject, JsonValue

LIMITS = Limits(script_cpu_ms=300)


@dataclass
class Host:
    """Answers every request with what was asked; URLs that begin with `bad` fail."""

    asked: list[tuple[str, JsonValue, JsonObject]] = field(default_factory=list[tuple[str, JsonValue, JsonObject]])

    async def request(self, method: str, url: JsonValue, options: JsonObject) -> JsonValue:
        self.asked.append((method, url, options))
        if str(url).startswith("bad"):
            raise HostFault("egress_denied", "The host may not be called.", ValueError(url))
        return {"status": 200, "headers": {}, "body": url, "url": url}


@dataclass
class Sandbox:
    pool: SandboxPool
    host: Host = field(default_factory=Host)
    log: list[tuple[str, str, JsonObject]] = field(default_factory=list[tuple[str, str, JsonObject]])

    def _write(self, level: str, message: str, fields: JsonObject) -> None:
        self.log.append((level, message, fields))

    async def run(self, source: str, value: JsonValue = None, language: Language = "javascript") -> JsonValue:
        script = Script(language, source, value, {"run_id": "run_1", "attempt": 1})
        return await self.pool.run(script, self.host, self._write)

    async def fail(self, source: str, value: JsonValue = None, language: Language = "javascript") -> SandboxError:
        with pytest.raises(SandboxError) as caught:
            await self.run(source, value, language)
        return caught.value

    def list_processes(self, language: Language = "javascript") -> list[int]:
        """Process ids of those that wait for a script."""
        return [process.pid for process in self.pool._idle[language]]  # pyright: ignore[reportPrivateUsage] - only the system can be asked about them

    async def settle(self) -> None:
        """Waits until no process is being warmed: those that wait are then all there are."""
        while self.pool._warming:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0.001)


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox]:
    pool = SandboxPool(LIMITS, size=2)
    yield Sandbox(pool)
    await pool.aclose()
