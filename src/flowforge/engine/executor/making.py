"""How one attempt is made: its secrets, its place (here or in another process), its log, its outcome. For runs and for jobs alike."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, cast

from flowforge.engine.events import ErrorValue
from flowforge.engine.executor.clocks import AttemptClock
from flowforge.engine.executor.heavy import HeavyJob, HeavyPool
from flowforge.engine.executor.live import Flight
from flowforge.engine.jobs import Ending
from flowforge.engine.machine.packing import reveal, secret_names
from flowforge.engine.machine.work import Aborted, Effect, Failed, Succeeded
from flowforge.engine.ports import Vault
from flowforge.engine.store import LogLine
from flowforge.kit.border import encode
from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.errors import FlowForgeError, StorageError
from flowforge.kit.limits import Limits
from flowforge.kit.masking import MASK, Masker
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.kit.telemetry.origins import Origin, Working, name_trace
from flowforge.kit.telemetry.tracing import Tracing
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.caching import run_cached
from flowforge.operations.calling import find_target, run_effect, validate_parameters
from flowforge.operations.context import AttemptContext
from flowforge.operations.definition import AttemptError, FatalError, Nature, Operation, RetryableError
from flowforge.operations.masking import NO_SECRETS, put_back
from flowforge.operations.middleware import Middleware, OperationCall, run_through
from flowforge.operations.registry import Registry

_SECRETS_RETRY_S: Final = 1.0
_OUTCOMES: Final[dict[type, str]] = {Succeeded: "completed", Failed: "failed", Aborted: "cancelled"}

logger = get_logger("engine.attempts")


@dataclass(frozen=True, slots=True)
class AttemptPorts:
    """What attempts need from the floors above. `masker` hides secrets in this process's own logs."""

    registry: Registry
    vault: Vault
    masker: Masker
    services: Mapping[type, object]
    clock: Clock
    heavy: HeavyPool
    metrics: Metrics
    tracing: Tracing


class AttemptOwner(Protocol):
    """For whom an attempt is made: a run in memory, or a job.

    `depth`: how many runs stand above it; `origin`: what the run goes back to; `is_dropped`: nobody hears of it.
    """

    run_id: str
    workspace_id: str
    depth: int
    origin: Origin
    is_dropped: bool
    logs: list[LogLine]


class AttemptMaker:
    """Makes attempts. `clock` cancels those whose time is over; an attempt in another process starts it again when that is there."""

    def __init__(self, ports: AttemptPorts, limits: Limits) -> None:
        self._ports = ports
        self._limits = limits
        self.clock = AttemptClock()

    def find_operation(self, name: str) -> Operation | None:
        return self._ports.registry.find(name)

    async def make(self, owner: AttemptOwner, flight: Flight) -> Ending:
        """The attempt's outcome, whatever becomes of it. A task that is cancelled in here ends by itself, as timed out or aborted."""
        flight.has_begun = True
        work = flight.work
        outcome: Ending = Aborted(work.key, work.attempt)
        try:
            if not flight.is_aborted and not owner.is_dropped:
                with Working(owner.origin, run=owner.run_id, step=work.key, attempt=work.attempt):
                    outcome = await self._attempt_in_span(owner, flight)
        except asyncio.CancelledError:
            outcome = _explain_cancel(flight)
        except Exception:  # supervisor: a fault of ours fails the step, not the engine
            logger.exception("An attempt failed: a fault of ours.", run=owner.run_id, step=work.key)
            error: ErrorValue = {"code": "engine_fault", "message": "The engine failed on this attempt; its log says how."}
            outcome = Failed(work.key, work.attempt, error)
        finally:
            self.clock.stop(flight)
        crashpoint("CP09")
        return outcome

    def count(self, work: Effect, outcome: Ending) -> None:
        """Counts an attempt that ended."""
        self._ports.metrics.count_steps_finished(work.name, _OUTCOMES[type(outcome)])

    async def close(self) -> None:
        """Ends the processes of heavy operations; call it when no attempt is in flight."""
        await self._ports.heavy.close()

    async def _attempt_in_span(self, owner: AttemptOwner, flight: Flight) -> Ending:
        tracing = self._ports.tracing
        if not tracing.is_on:
            return await self._attempt(owner, flight)
        work, parent = flight.work, owner.origin.traceparent or name_trace(owner.run_id)
        with tracing.span(
            "step.attempt", parent=parent, operation=work.name, attempt=work.attempt, run=owner.run_id, step=work.key
        ) as span:
            outcome = await self._attempt(owner, flight)
            if span is not None and isinstance(outcome, Failed):
                span.fail(outcome.error["code"])
            return outcome

    async def _attempt(self, owner: AttemptOwner, flight: Flight) -> Ending:
        crashpoint("CP07")
        work = flight.work
        operation = self._ports.registry.find(work.name)
        if operation is None:
            message = f"The operation {work.name} is not installed here."
            return Failed(work.key, work.attempt, {"code": "not_installed", "message": message}, is_fatal=True)
        context = self._make_context(owner, work, Masker() if operation.secret_parameters else NO_SECRETS)
        middlewares = self._ports.registry.find_middlewares(work.name)
        try:
            if middlewares:
                port, output = await self._go_through(middlewares, owner, flight, operation, context)
            else:
                port, output = await self._perform(owner, flight, operation, work.parameters, context)
        except AttemptError as fault:
            return _failure_of(work, fault)
        return self._check_size(Succeeded(work.key, work.attempt, port, output))

    async def _go_through(
        self,
        middlewares: Sequence[Middleware],
        owner: AttemptOwner,
        flight: Flight,
        operation: Operation,
        context: AttemptContext,
    ) -> tuple[str, JsonValue]:
        """With middlewares around it. They see the parameters before their secrets are resolved, which may depend on what they change."""
        original = flight.work.parameters
        hidden = dict.fromkeys(secret_names(original), MASK)
        shown = cast("JsonObject", reveal(original, hidden))

        async def perform(changed: JsonObject) -> tuple[str, JsonValue]:
            parameters = cast("JsonObject", put_back(original, shown, changed))
            return await self._perform(owner, flight, operation, parameters, context)

        call = OperationCall(operation, owner.workspace_id, cast("JsonObject", reveal(original, hidden)), context)
        return await run_through(middlewares, call, perform, self._limits)

    async def _perform(
        self, owner: AttemptOwner, flight: Flight, operation: Operation, parameters: JsonObject, context: AttemptContext
    ) -> tuple[str, JsonValue]:
        try:
            if operation.secret_parameters:
                parameters = await self._reveal(owner, operation, parameters, context.masker)
            if operation.cache is not None:
                run = partial(self._run, owner, flight, operation, parameters, context)
                return await run_cached(operation, parameters, context, owner.workspace_id, run)
            return await self._run(owner, flight, operation, parameters, context)
        except FlowForgeError as fault:
            code = fault.details[0].code if fault.details else "dependency_failed"
            raise FatalError(fault.message, code=code) from fault

    async def _run(
        self, owner: AttemptOwner, flight: Flight, operation: Operation, parameters: JsonObject, context: AttemptContext
    ) -> tuple[str, JsonValue]:
        if operation.nature_of(parameters) is Nature.HEAVY:
            return await self._run_heavy(owner, flight, parameters, context.masker)
        return await run_effect(operation, validate_parameters(operation, parameters), context, self._limits)

    async def _run_heavy(
        self, owner: AttemptOwner, flight: Flight, parameters: JsonObject, masker: Masker
    ) -> tuple[str, JsonValue]:
        """In another process. The attempt's time counts from when there is one."""
        work = flight.work
        self.clock.stop(flight)
        job = HeavyJob(
            operation=work.name,
            parameters=parameters,
            secrets=masker.values,
            run_id=owner.run_id,
            step=work.key,
            attempt=work.attempt,
            idempotency_key=work.idempotency_key,
            depth=owner.depth,
        )
        return await self._ports.heavy.run(job, lambda: self.clock.start(flight), partial(self._write_line, owner, work))

    def _check_size(self, outcome: Succeeded) -> Succeeded | Failed:
        most = self._limits.step_out_max_bytes
        if isinstance(outcome.output, str | list | dict) and len(encode(outcome.output)) > most:
            message = f"The output is larger than {most} bytes: hand large data on as a file."
            return Failed(outcome.key, outcome.attempt, {"code": "output_too_large", "message": message}, is_fatal=True)
        return outcome

    async def _reveal(self, owner: AttemptOwner, operation: Operation, parameters: JsonObject, masker: Masker) -> JsonObject:
        """The parameters with their secrets. `masker` learns these and no others: another's secret may be a common word.

        Where there are none, the operation may come to know secrets of its own, such as a token.
        """
        names = sorted(secret_names(parameters))
        if not names:
            return parameters
        secrets = await self._resolve(owner, names, find_target(operation, parameters))
        for value in secrets.values():
            masker.add(value)
            self._ports.masker.add(value)
        return cast("JsonObject", reveal(parameters, dict(secrets)))

    async def _resolve(self, owner: AttemptOwner, names: list[str], host: str | None) -> Mapping[str, str]:
        """A database that cannot be read now is no fault of the step: its attempt waits."""
        while True:
            try:
                return await self._ports.vault.resolve_secrets(owner.workspace_id, names, host)
            except StorageError as fault:
                logger.warning("Secrets cannot be read; the attempt waits.", run=owner.run_id, cause=fault.message)
                await asyncio.sleep(_SECRETS_RETRY_S)

    def _make_context(self, owner: AttemptOwner, work: Effect, masker: Masker) -> AttemptContext:
        def write_log(level: str, message: str, fields: JsonObject) -> None:
            self._write_line(owner, work, self._ports.clock.now_ms(), level, message, fields)

        return AttemptContext(
            run_id=owner.run_id,
            step=work.key,
            attempt=work.attempt or 1,  # 0: a pure step, of which there is one attempt only
            idempotency_key=work.idempotency_key,
            services=self._ports.services,
            write_log=write_log,
            masker=masker,
            depth=owner.depth,
            limits=self._limits,
            read_clock=self._ports.clock.now_ms,
        )

    def _write_line(self, owner: AttemptOwner, work: Effect, at: int, level: str, message: str, fields: JsonObject) -> None:
        owner.logs.append(LogLine(at, level, work.key, work.attempt or 1, message, encode(fields)))
        logger.info(message, run=owner.run_id, step=work.key, attempt=work.attempt, level_of_step=level, **fields)


def halt(flight: Flight) -> None:
    """Cancels an attempt that has begun; one that has not ends by itself."""
    if flight.task is not None and flight.has_begun:
        flight.task.cancel()


def _explain_cancel(flight: Flight) -> Ending:
    work = flight.work
    if flight.is_timed_out and not flight.is_aborted:
        message = f"The attempt did not end within {(work.timeout_ms or 0) / 1_000:g} s."
        return Failed(work.key, work.attempt, {"code": "timeout", "message": message})
    return Aborted(work.key, work.attempt)


def _failure_of(work: Effect, fault: AttemptError) -> Failed:
    error: ErrorValue = {"code": fault.code, "message": fault.message}
    if fault.details is not None:
        error["details"] = fault.details
    if not isinstance(fault, RetryableError):
        return Failed(work.key, work.attempt, error, is_fatal=True)
    return Failed(
        work.key, work.attempt, error, is_retryable=fault.by_default, after_ms=fault.after_ms, postpones=fault.postpones
    )
