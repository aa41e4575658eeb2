"""Results that are used again: of operations that declare a `Cache`, for equal parameters in the same workspace."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final, Protocol, cast, runtime_checkable

from flowforge.kit.border import decode, encode, encode_canonical
from flowforge.kit.units import format_duration
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import Outcome, validate_parameters
from flowforge.operations.context import AttemptContext
from flowforge.operations.definition import Operation

RESULT_MAX_BYTES: Final = 2**20
"""A larger result is not kept."""
_FILE_KEY: Final = "$file"
_MILLISECOND: Final = timedelta(milliseconds=1)


@runtime_checkable
class ResultCache(Protocol):
    """The service that keeps results, wired under this class. Without one every call is made."""

    async def find(self, key: bytes) -> bytes | None:
        """What was kept under this key, as long as its time lasts."""
        ...

    async def keep(self, key: bytes, value: bytes, keep_ms: int) -> None: ...


async def run_cached(
    operation: Operation,
    parameters: JsonObject,
    context: AttemptContext,
    workspace_id: str,
    run: Callable[[], Awaitable[Outcome]],
) -> Outcome:
    """What an earlier call gave, else what `run` gives, which is then kept. `parameters` hold their secrets: others give another result.

    Results that hold files are not kept: the bytes go when the run goes that made them.

    Raises:
        FatalError, RetryableError: `run`'s, or the parameters do not fit. No failure is kept.
    """
    cache = _find_cache(context.services)
    keep_ms = _find_keep_ms(operation, parameters)
    if cache is None or keep_ms is None:
        return await run()
    key = encode_canonical([workspace_id, operation.name, operation.version, parameters])
    found = await cache.find(key)
    if found is not None:
        kept_at_ms, port, output = cast("tuple[int, str, JsonValue]", decode(found))
        age = format_duration(max(0, context.now_ms() - kept_at_ms))
        context.log("info", "Nothing was called: the result is that of an equal call before.", age=age)
        return port, output
    port, output = await run()
    value = encode([context.now_ms(), port, output])
    if len(value) <= RESULT_MAX_BYTES and not _holds_file(output):
        await cache.keep(key, value, keep_ms)
    return port, output


def _find_cache(services: Mapping[type, object]) -> ResultCache | None:
    found = services.get(ResultCache)
    return found if isinstance(found, ResultCache) else None


def _find_keep_ms(operation: Operation, parameters: JsonObject) -> int | None:
    if operation.cache is None:
        return None
    keep = operation.cache.keep
    length = keep if isinstance(keep, timedelta) else keep(validate_parameters(operation, parameters))
    return None if length is None or length < _MILLISECOND else length // _MILLISECOND


def _holds_file(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return _FILE_KEY in value or any(_holds_file(item) for item in value.values())
    return isinstance(value, list) and any(_holds_file(item) for item in value)
