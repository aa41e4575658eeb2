"""An operation called alone, outside of any run: what the command line does, and other surfaces do alike."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from flowforge.entrypoints.ports import VaultPort
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.errors import NotPermittedError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import MASK
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.literals import is_below, list_texts
from flowforge.language.positions import Path
from flowforge.operations.caching import run_cached
from flowforge.operations.calling import Outcome, find_target, run_effect, run_pure, validate_parameters
from flowforge.operations.context import AttemptContext, LogWriter
from flowforge.operations.definition import Nature, Operation
from flowforge.operations.masking import put_back
from flowforge.operations.middleware import Middleware, OperationCall, run_through

_SECRET: Final = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


async def call_operation(
    installation: Installation,
    operation: Operation,
    value: JsonValue,
    write_log: LogWriter,
    *,
    workspace_id: str = DEFAULT_WORKSPACE_ID,
    may_use_secrets: bool = True,
    key: str | None = None,
) -> JsonValue:
    """The operation's output. `${{ secrets.NAME }}` in a parameter that takes secrets is resolved, as in a workflow.

    `write_log` takes the lines that the operation writes meanwhile. `key`: its idempotency key; None makes a new one.

    Raises:
        FatalError, RetryableError: it failed, or the parameters do not fit.
        NotPermittedError: a secret is named, and the caller may use none.
        FlowForgeError: a secret is missing, or may not go where it would.
    """
    limits = installation.settings.limits
    if not isinstance(value, dict):
        validate_parameters(operation, value)
    given: JsonObject = value if isinstance(value, dict) else {}
    middlewares = installation.registry.find_middlewares(operation.name)
    if not middlewares and operation.nature_of(given) is Nature.PURE:
        return run_pure(operation, validate_parameters(operation, value), limits)[1]
    call_id = installation.ids.make_id("call")
    services = Services(installation)
    context = AttemptContext(
        run_id=call_id,
        step="call",
        attempt=1,
        idempotency_key=key or call_id,
        services=services,
        limits=limits,
        write_log=write_log,
        read_clock=installation.clock.now_ms,
    )
    call = _Call(installation, operation, workspace_id, context, may_use_secrets)
    try:
        return (await (_go_through(call, middlewares, given) if middlewares else _perform(call, given)))[1]
    finally:
        await services.aclose()


@dataclass(frozen=True, slots=True)
class _Call:
    installation: Installation
    operation: Operation
    workspace_id: str
    context: AttemptContext
    may_use_secrets: bool


async def _go_through(call: _Call, middlewares: Sequence[Middleware], given: JsonObject) -> Outcome:
    hidden = dict.fromkeys(_name_secrets(call.operation, given), MASK)
    shown = _reveal(call.operation, given, hidden)

    async def perform(changed: JsonObject) -> Outcome:
        return await _perform(call, cast("JsonObject", put_back(given, shown, changed)))

    seen = OperationCall(call.operation, call.workspace_id, _reveal(call.operation, given, hidden), call.context)
    return await run_through(middlewares, seen, perform, call.context.limits)


async def _perform(call: _Call, given: JsonObject) -> Outcome:
    operation, context = call.operation, call.context
    parameters = validate_parameters(operation, given)
    secrets = await _resolve_secrets(call, given)
    if secrets:
        given = _reveal(operation, given, secrets)
        parameters = validate_parameters(operation, given)
    for secret in secrets.values():
        context.masker.add(secret)

    async def run() -> Outcome:
        if operation.nature_of(given) is Nature.HEAVY:
            return await _call_heavy(call, given, [*secrets.values()])
        return await run_effect(operation, parameters, context, context.limits)

    if operation.cache is None:
        return await run()
    return await run_cached(operation, given, context, call.workspace_id, run)


async def _call_heavy(call: _Call, given: JsonObject, secrets: list[str]) -> Outcome:
    """In another process, as the engine does it."""
    # Start-up cost: the engine comes with it, 0.1 s that all other calls do without.
    from flowforge.engine.executor.heavy import HeavyJob, HeavyPool
    from flowforge.entrypoints.heavy import HEAVY_LOADER, describe_services

    context = call.context
    job = HeavyJob(
        call.operation.name, given, secrets, context.run_id, context.step, context.attempt, context.idempotency_key, context.depth
    )
    pool = HeavyPool(HEAVY_LOADER, context.limits, describe_services(call.installation))
    try:
        return await pool.run(job, lambda: None, lambda _at, level, message, fields: context.write_log(level, message, fields))
    finally:
        await pool.close()


async def _resolve_secrets(call: _Call, given: JsonObject) -> Mapping[str, str]:
    names = _name_secrets(call.operation, given)
    if names and not call.may_use_secrets:
        raise NotPermittedError("The parameters name a secret, which needs the permission secret:use.")
    target = find_target(call.operation, given)
    return await VaultPort(call.installation).resolve_secrets(call.workspace_id, names, target)


def _name_secrets(operation: Operation, given: JsonObject) -> list[str]:
    texts = [text for path, text in list_texts(given, ()) if is_below(path, operation.secret_parameters)]
    return sorted({name for text in texts for name in _SECRET.findall(text)})


def _reveal(operation: Operation, given: JsonObject, secrets: Mapping[str, str]) -> JsonObject:
    def fill_in(value: JsonValue, path: Path) -> JsonValue:
        if isinstance(value, str):
            may_hold = is_below(path, operation.secret_parameters)
            return _SECRET.sub(lambda found: secrets[found[1]], value) if may_hold else value
        if isinstance(value, dict):
            return {name: fill_in(item, (*path, name)) for name, item in value.items()}
        return [fill_in(item, (*path, place)) for place, item in enumerate(value)] if isinstance(value, list) else value

    return {name: fill_in(value, (name,)) for name, value in given.items()}
