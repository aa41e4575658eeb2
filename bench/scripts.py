"""What a script costs: warm, in a process that waits for it, and cold, with the start of its process."""

import asyncio
import time
from statistics import median
from typing import Final

from flowforge.kit.limits import Limits
from flowforge.kit.sandbox.pool import Language, SandboxPool, Script
from flowforge.kit.values import JsonObject, JsonValue

_SOURCES: Final[dict[Language, str]] = {
    "javascript": "return { total: input.lines.reduce((sum, line) => sum + line.price * line.quantity, 0) }",
    "python": "{'total': sum(line['price'] * line['quantity'] for line in input['lines'])}",
}
LANGUAGES: Final = tuple(_SOURCES)
_INPUT: Final[JsonValue] = {"lines": [{"price": price, "quantity": 2} for price in range(20)]}
_TOTAL: Final[JsonValue] = {"total": 380}


class _NoHost:
    async def request(self, method: str, url: JsonValue, options: JsonObject) -> JsonValue:
        raise NotImplementedError(f"{method} {url} {options}")


def _write_nothing(level: str, message: str, fields: JsonObject) -> None:
    del level, message, fields


async def _measure_ms(pool: SandboxPool, language: Language) -> float:
    script = Script(language, _SOURCES[language], _INPUT)
    begun = time.perf_counter()
    result = await pool.run(script, _NoHost(), _write_nothing)
    took = time.perf_counter() - begun
    assert result == _TOTAL
    return took * 1_000


async def measure_warm_script_ms(language: Language, probes: int) -> float:
    """p50 of a call, one after the other, in a process that was there already."""
    pool = SandboxPool(Limits(), size=1)
    await _measure_ms(pool, language)
    took: list[float] = []
    for _ in range(probes):
        await asyncio.sleep(0.001)  # as between steps: the process makes the next realm meanwhile
        took.append(await _measure_ms(pool, language))
    await pool.aclose()
    return median(took)


async def measure_cold_script_ms(language: Language, probes: int) -> float:
    """p50 of a call that has to start its process first."""
    took: list[float] = []
    for _ in range(probes):
        pool = SandboxPool(Limits(), size=1)
        took.append(await _measure_ms(pool, language))
        await pool.aclose()
    return median(took)
