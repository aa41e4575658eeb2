"""An operation called alone, outside of any run: what the command line does, and other surfaces do alike."""

import re
from collections.abc import Mapping
from typing import Final

from flowforge.entrypoints.ports import VaultPort
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.errors import NotPermittedError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.literals import is_below, list_texts
from flowforge.language.positions import Path
from flowforge.operations.calling import find_target, run_effect, run_pure, validate_parameters
from flowforge.operations.context import AttemptContext, LogWriter
from flowforge.operations.definition import Nature, Operation

_SECRET: Final = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


async def call_operation(
    installation: Installation,
    operation: Operation,
    value: JsonValue,
    write_log: LogWriter,
    *,
    workspace_id: str = DEFAULT_WORKSPACE_ID,
    may_use_secrets: bool = True,
) -> JsonValue:
    """The operation's output. `${{ secrets.NAME }}` in a parameter that takes secrets is resolved, as in a workflow.

    `write_log` takes the lines that the operation writes meanwhile.

    Raises:
        FatalError, RetryableError: it failed, or the parameters do not fit.
        NotPermittedError: a secret is named, and the caller may use none.
        FlowForgeError: a secret is missing, or may not go where it would.
    """
    limits = installation.settings.limits
    parameters = validate_parameters(operation, value)
    given: JsonObject = value if isinstance(value, dict) else {}
    nature = operation.nature_of(given)
    if nature is Nature.PURE:
        return run_pure(operation, parameters, limits)[1]
    secrets = await _resolve_secrets(installation, operation, given, workspace_id, may_use_secrets=may_use_secrets)
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


async def _resolve_secrets(
    installation: Installation, operation: Operation, given: JsonObject, workspace_id: str, *, may_use_secrets: bool
) -> Mapping[str, str]:
    texts = [text for path, text in list_texts(given, ()) if is_below(path, operation.secret_parameters)]
    names = sorted({name for text in texts for name in _SECRET.findall(text)})
    if names and not may_use_secrets:
        raise NotPermittedError("The parameters name a secret, which needs the permission secret:use.")
    return await VaultPort(installation).resolve_secrets(workspace_id, names, find_target(operation, given))


def _reveal(operation: Operation, given: JsonObject, secrets: Mapping[str, str]) -> JsonObject:
    def fill_in(value: JsonValue, path: Path) -> JsonValue:
        if isinstance(value, str):
            may_hold = is_below(path, operation.secret_parameters)
            return _SECRET.sub(lambda found: secrets[found[1]], value) if may_hold else value
        if isinstance(value, dict):
            return {name: fill_in(item, (*path, name)) for name, item in value.items()}
        return [fill_in(item, (*path, place)) for place, item in enumerate(value)] if isinstance(value, list) else value

    return {name: fill_in(value, (name,)) for name, value in given.items()}
