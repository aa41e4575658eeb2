"""An operation called alone, outside of any run: what the command line does, and other surfaces do alike."""

import re
from collections.abc import Mapping
from typing import Final

from flowforge.entrypoints.ports import VaultPort
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import find_target, run_effect, run_pure, validate_parameters
from flowforge.operations.context import AttemptContext, LogWriter
from flowforge.operations.definition import Nature, Operation

_SECRET: Final = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


async def call_operation(installation: Installation, operation: Operation, value: JsonValue, write_log: LogWriter) -> JsonValue:
    """The operation's output. `${{ secrets.NAME }}` in a parameter that takes secrets is resolved, as in a workflow.

    `write_log` takes the lines that the operation writes meanwhile.

    Raises:
        FatalError, RetryableError: it failed, or the parameters do not fit.
        FlowForgeError: a secret is missing, or may not go where it would.
    """
    limits = installation.settings.limits
    parameters = validate_parameters(operation, value)
    given: JsonObject = value if isinstance(value, dict) else {}
    nature = operation.nature_of(given)
    if nature is Nature.PURE:
        return run_pure(operation, parameters, limits)[1]
    secrets = await _resolve_secrets(installation, operation, given)
    if secrets:
        given = _reveal(operation, given, secrets)
        parameters = validate_parameters(operation, given)
    call_id = installation.ids.make_id("call")
    if nature is Nature.HEAVY:
        return await _call_heavy(installation, operation, given, [*secrets.values()], call_id, write_log)
    masker = Masker()
    for secret in secrets.values():
        masker.add(secret)
    services = Services(installation)
    context = AttemptContext(
        run_id=call_id,
        step="call",
        attempt=1,
        idempotency_key=call_id,
        services=services,
        masker=masker,
        limits=limits,
        write_log=write_log,
        read_clock=installation.clock.now_ms,
    )
    try:
        return (await run_effect(operation, parameters, context, limits))[1]
    finally:
        await services.aclose()


async def _call_heavy(
    installation: Installation, operation: Operation, given: JsonObject, secrets: list[str], call_id: str, write_log: LogWriter
) -> JsonValue:
    """In another process, as the engine does it."""
    # Start-up cost: the engine comes with it, 0.1 s that all other calls do without.
    from flowforge.engine.executor.heavy import HeavyJob, HeavyPool
    from flowforge.entrypoints.heavy import HEAVY_LOADER, describe_services

    job = HeavyJob(operation.name, given, secrets, call_id, "call", 1, call_id, 0)
    pool = HeavyPool(HEAVY_LOADER, installation.settings.limits, describe_services(installation))
    try:
        return (await pool.run(job, lambda: None, lambda _at, level, message, fields: write_log(level, message, fields)))[1]
    finally:
        await pool.close()


async def _resolve_secrets(installation: Installation, operation: Operation, given: JsonObject) -> Mapping[str, str]:
    names = sorted({name for field in operation.secret_parameters for name in _list_secrets(given.get(field.partition(".")[0]))})
    return await VaultPort(installation).resolve_secrets(DEFAULT_WORKSPACE_ID, names, find_target(operation, given))


def _list_secrets(value: JsonValue) -> list[str]:
    if isinstance(value, str):
        return _SECRET.findall(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for item in inner for name in _list_secrets(item)]


def _reveal(operation: Operation, given: JsonObject, secrets: Mapping[str, str]) -> JsonObject:
    fields = {field.partition(".")[0] for field in operation.secret_parameters}
    return {name: _fill_in(value, secrets) if name in fields else value for name, value in given.items()}


def _fill_in(value: JsonValue, secrets: Mapping[str, str]) -> JsonValue:
    if isinstance(value, str):
        return _SECRET.sub(lambda found: secrets[found[1]], value)
    if isinstance(value, dict):
        return {name: _fill_in(item, secrets) for name, item in value.items()}
    return [_fill_in(item, secrets) for item in value] if isinstance(value, list) else value
