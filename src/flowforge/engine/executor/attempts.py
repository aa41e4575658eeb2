"""Attempts: effects that the journal has planned, run as tasks, each with its time-out, its secrets and its log."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from flowforge.engine.events import ErrorValue
from flowforge.engine.executor.heavy import HeavyJob, HeavyPool
from flowforge.engine.executor.live import Flight, LiveRun
from flowforge.engine.executor.settings import EngineSettings
from flowforge.engine.machine.packing import reveal, secret_names
from flowforge.engine.machine.work import Abort, Aborted, Effect, Failed, Outcome, Settled, Succeeded
from flowforge.engine.ports import Vault
from flowforge.engine.store import LogLine
from flowforge.kit.border import encode
from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.errors import FlowForgeError, StorageError
from flowforge.kit.masking import Masker
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.kit.telemetry.tracing import Tracing
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import run_effect, validate_parameters
from flowforge.operations.context import AttemptContext
from flowforge.operations.definition import AttemptError, Nature, RetryableError
from flowforge.operations.masking import NO_SECRETS
from flowforge.operations.registry import Registry

_SWEPT_FROM_MS: Final = 5_000
_SWEEP_S: Final = 0.25
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


class Attempts:
    """At most `effects_max` in flight; the others wait in order. Each outcome is appended to its run, which is then woken."""

    def __init__(self, ports: AttemptPorts, settings: EngineSettings, wake: Callable[[LiveRun], None]) -> None:
        self._ports = ports
        self._settings = settings
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._in_flight = 0
        self._waiting: deque[tuple[LiveRun, Flight]] = deque()
        self._swept: set[Flight] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def start(self, live: LiveRun, work: Effect) -> None:
        flight = live.flights[work.key] = Flight(work)
        if self._in_flight < self._settings.effects_max:
            self._launch(live, flight)
        else:
            self._waiting.append((live, flight))

    def _launch(self, live: LiveRun, flight: Flight) -> None:
        self._in_flight += 1
        self._quiet.clear()
        flight.task = self._loop.create_task(self._run(live, flight))
        self._start_clock(flight)

    def _start_clock(self, flight: Flight) -> None:
        timeout_ms = flight.work.timeout_ms
        if timeout_ms is None:
            return
        if timeout_ms < _SWEPT_FROM_MS:
            flight.timer = self._loop.call_later(timeout_ms / 1_000, self._time_out, flight)
        else:
            flight.deadline_s = self._loop.time() + timeout_ms / 1_000
            self._swept.add(flight)
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _stop_clock(self, flight: Flight) -> None:
        self._swept.discard(flight)
        if flight.timer is not None:
            flight.timer.cancel()

    def _sweep(self) -> None:
        """Long time-outs share one timer: a timer for each attempt costs more than the attempt's own bookkeeping."""
        now_s = self._loop.time()
        for flight in [flight for flight in self._swept if flight.deadline_s <= now_s]:
            self._swept.discard(flight)
            self._time_out(flight)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep) if self._swept else None

    def _time_out(self, flight: Flight) -> None:
        flight.is_timed_out = True
        if flight.task is not None:
            flight.task.cancel()

    def abort(self, live: LiveRun, work: Abort) -> None:
        """Stops an attempt; its run hears what became of it, at the latest after the grace."""
        flight = live.flights.get(work.key)
        if flight is None:
            attempt = live.state.aborting.get(work.key)
            if attempt is not None:
                self._report(live, Aborted(work.key, attempt.attempt))
            return
        flight.is_aborted = True
        if flight.task is None:
            self._waiting.remove((live, flight))
            self._end(live, flight, Aborted(work.key, flight.work.attempt))
            return
        _halt(flight)
        self._loop.call_later(self._settings.abort_grace_ms / 1_000, self._report, live, Settled())

    def drop(self, live: LiveRun) -> None:
        """Stops everything of a run that is no longer ours; nobody hears of it."""
        live.is_dropped = True
        for flight in list(live.flights.values()):
            if flight.task is None:
                self._waiting.remove((live, flight))
            else:
                _halt(flight)
        live.flights.clear()

    async def close(self) -> None:
        """Ends the processes of heavy operations; call it when no attempt is in flight."""
        await self._ports.heavy.close()

    async def quiet(self) -> None:
        """Returns when no attempt is in flight."""
        await self._quiet.wait()

    async def _run(self, live: LiveRun, flight: Flight) -> None:
        flight.has_begun = True
        try:
            if flight.is_aborted or live.is_dropped:
                outcome = Aborted(flight.work.key, flight.work.attempt)
            else:
                work, ids = flight.work, {"run": live.state.run_id, "step": flight.work.key}
                with self._ports.tracing.span("step.attempt", operation=work.name, attempt=work.attempt, **ids):
                    outcome = await self._attempt(live, work)
        except asyncio.CancelledError:
            outcome = self._explain_cancel(flight)
        except Exception:  # supervisor: a fault of ours fails the step, not the engine
            logger.exception("An attempt failed: a fault of ours.", run=live.state.run_id, step=flight.work.key)
            error: ErrorValue = {"code": "engine_fault", "message": "The engine failed on this attempt; its log says how."}
            outcome = Failed(flight.work.key, flight.work.attempt, error)
        finally:
            self._in_flight -= 1
            self._stop_clock(flight)
        crashpoint("CP09")
        self._end(live, flight, outcome)
        self._launch_next()
        if not self._in_flight:
            self._quiet.set()

    def _explain_cancel(self, flight: Flight) -> Outcome:
        work = flight.work
        if flight.is_timed_out and not flight.is_aborted:
            message = f"The attempt did not end within {(work.timeout_ms or 0) / 1_000:g} s."
            return Failed(work.key, work.attempt, {"code": "timeout", "message": message})
        return Aborted(work.key, work.attempt)

    def _end(self, live: LiveRun, flight: Flight, outcome: Outcome) -> None:
        if live.flights.get(flight.work.key) is flight:
            del live.flights[flight.work.key]
        self._ports.metrics.count_steps_finished(flight.work.name, _OUTCOMES[type(outcome)])
        self._report(live, outcome)

    def _report(self, live: LiveRun, outcome: Outcome) -> None:
        if not live.is_dropped:
            live.outcomes.append(outcome)
            self._wake(live)

    def _launch_next(self) -> None:
        while self._waiting and self._in_flight < self._settings.effects_max:
            self._launch(*self._waiting.popleft())

    async def _attempt(self, live: LiveRun, work: Effect) -> Outcome:
        crashpoint("CP07")
        operation = self._ports.registry.find(work.name)
        if operation is None:
            message = f"The operation {work.name} is not installed here."
            return Failed(work.key, work.attempt, {"code": "not_installed", "message": message}, is_fatal=True)
        parameters, masker = work.parameters, NO_SECRETS
        try:
            if operation.secret_parameters:
                parameters, masker = await self._reveal(live, work)
            context = self._make_context(live, work, masker)
            if operation.nature_of(parameters) is Nature.HEAVY:
                port, output = await self._run_heavy(live, work, parameters, masker)
            else:
                port, output = await run_effect(
                    operation, validate_parameters(operation, parameters), context, self._settings.limits
                )
        except AttemptError as fault:
            return _failure_of(work, fault)
        except FlowForgeError as fault:
            code = fault.details[0].code if fault.details else "dependency_failed"
            return Failed(work.key, work.attempt, {"code": code, "message": fault.message}, is_fatal=True)
        return self._check_size(Succeeded(work.key, work.attempt, port, output))

    async def _run_heavy(self, live: LiveRun, work: Effect, parameters: JsonObject, masker: Masker) -> tuple[str, JsonValue]:
        """In another process. The attempt's time counts from when there is one."""
        flight = live.flights[work.key]
        self._stop_clock(flight)

        job = HeavyJob(
            operation=work.name,
            parameters=parameters,
            secrets=masker.values,
            run_id=live.state.run_id,
            step=work.key,
            attempt=work.attempt,
            idempotency_key=work.idempotency_key,
            depth=_depth_of(live),
        )
        return await self._ports.heavy.run(job, lambda: self._start_clock(flight), partial(self._write_line, live, work))

    def _check_size(self, outcome: Succeeded) -> Outcome:
        most = self._settings.limits.step_out_max_bytes
        if isinstance(outcome.output, str | list | dict) and len(encode(outcome.output)) > most:
            message = f"The output is larger than {most} bytes: hand large data on as a file."
            return Failed(outcome.key, outcome.attempt, {"code": "output_too_large", "message": message}, is_fatal=True)
        return outcome

    async def _reveal(self, live: LiveRun, work: Effect) -> tuple[JsonObject, Masker]:
        """The parameters with their secrets, and a masker that knows these and no others: another's secret may be a common word."""
        names = sorted(secret_names(work.parameters))
        masker = Masker()
        if not names:
            return work.parameters, masker  # the operation may come to know secrets of its own, such as a token
        target = live.state.program.targets.get(work.name)
        host = None if target is None else target(work.parameters)
        secrets = await self._resolve(live, names, host)
        for value in secrets.values():
            masker.add(value)
            self._ports.masker.add(value)
        return cast("JsonObject", reveal(work.parameters, dict(secrets))), masker

    async def _resolve(self, live: LiveRun, names: list[str], host: str | None) -> Mapping[str, str]:
        """A database that cannot be read now is no fault of the step: its attempt waits."""
        while True:
            try:
                return await self._ports.vault.resolve_secrets(live.state.workspace_id, names, host)
            except StorageError as fault:
                logger.warning("Secrets cannot be read; the attempt waits.", run=live.state.run_id, cause=fault.message)
                await asyncio.sleep(_SECRETS_RETRY_S)

    def _make_context(self, live: LiveRun, work: Effect, masker: Masker) -> AttemptContext:
        def write_log(level: str, message: str, fields: JsonObject) -> None:
            self._write_line(live, work, self._ports.clock.now_ms(), level, message, fields)

        return AttemptContext(
            run_id=live.state.run_id,
            step=work.key,
            attempt=work.attempt,
            idempotency_key=work.idempotency_key,
            services=self._ports.services,
            write_log=write_log,
            masker=masker,
            depth=_depth_of(live),
            limits=self._settings.limits,
            read_clock=self._ports.clock.now_ms,
        )

    def _write_line(self, live: LiveRun, work: Effect, at: int, level: str, message: str, fields: JsonObject) -> None:
        live.logs.append(LogLine(at, level, work.key, work.attempt, message, encode(fields)))
        logger.info(message, run=live.state.run_id, step=work.key, attempt=work.attempt, level_of_step=level, **fields)


def _depth_of(live: LiveRun) -> int:
    return 0 if live.state.parent is None else live.state.parent["depth"]


def _halt(flight: Flight) -> None:
    if flight.task is not None and flight.has_begun:
        flight.task.cancel()


def _failure_of(work: Effect, fault: AttemptError) -> Failed:
    error: ErrorValue = {"code": fault.code, "message": fault.message}
    if fault.details is not None:
        error["details"] = fault.details
    if not isinstance(fault, RetryableError):
        return Failed(work.key, work.attempt, error, is_fatal=True)
    return Failed(
        work.key, work.attempt, error, is_retryable=fault.by_default, after_ms=fault.after_ms, postpones=fault.postpones
    )
