"""Middlewares: what another package does before and after an attempt of an operation, and when it fails.

They stand around each other like shells: the one with the lowest priority is the outermost, so that its `before` comes first, and its
`after` and `on_error` last. A fault that one raises is seen by those outside of it alone.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final, TypeVar, cast

from flowforge.kit.border import JsonRefusedError, check_json
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.declaration import DefinitionError
from flowforge.operations.definition import AttemptError, Exit, FatalError, Operation, OperationContext, RetryableError
from flowforge.operations.masking import mask_error, mask_value

MIDDLEWARE_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class OperationCall:
    """An attempt, as middlewares see it. Each `before` sees the parameters as those outside of it left them.

    `parameters` are a copy, in which `***` stands for every secret. `context` is the operation's own: its log, services, key and clock.
    """

    operation: Operation
    workspace_id: str
    parameters: JsonObject
    context: OperationContext


@dataclass(frozen=True, slots=True)
class Middleware:
    """Async functions around the attempts of the operations whose names fit one of the patterns `operations` (`http.*`).

    `before` gives other parameters, or None to leave them; what it raises ends the attempt before it began. A text that holds a secret
    keeps it where it is left as it was shown. `after` gives another `Exit` (port and result), or None. `on_error` gives another error,
    or None. Each may raise FatalError or RetryableError; anything else that it raises fails the attempt with `middleware_failed`.
    """

    name: str
    before: Callable[[OperationCall], Awaitable[JsonObject | None]] | None = None
    after: Callable[[OperationCall, Exit], Awaitable[Exit | None]] | None = None
    on_error: Callable[[OperationCall, AttemptError], Awaitable[AttemptError | None]] | None = None
    operations: tuple[str, ...] = ("*",)
    priority: int = 100

    def covers(self, operation: str) -> bool:
        return any(fnmatchcase(operation, pattern) for pattern in self.operations)


def check_middleware(middleware: Middleware) -> None:
    """Refuses one that could not be called.

    Raises:
        DefinitionError: the message says what to mend.
    """
    faults: list[str] = []
    if not MIDDLEWARE_NAME.fullmatch(middleware.name):
        faults.append("a name is lower-case words joined by dots, such as shop.quota")
    hooks = {"before": middleware.before, "after": middleware.after, "on_error": middleware.on_error}
    given = {name: hook for name, hook in hooks.items() if hook is not None}
    faults.extend(f"{name} is an async function" for name, hook in given.items() if not inspect.iscoroutinefunction(hook))
    if not given:
        faults.append("it needs one of before, after and on_error")
    if faults:
        raise DefinitionError(f"Middleware {middleware.name}: {'; '.join(faults)}.")


async def run_through(
    middlewares: Sequence[Middleware],
    call: OperationCall,
    attempt: Callable[[JsonObject], Awaitable[tuple[str, JsonValue]]],
    limits: Limits,
) -> tuple[str, JsonValue]:
    """Port and output of an attempt with the middlewares around it, the first one outermost.

    `attempt` takes the parameters as they were shown, or as they were changed. Cancelling passes through.

    Raises:
        FatalError, RetryableError: the attempt's or a middleware's.
    """
    if not middlewares:
        return await attempt(call.parameters)
    first, inner = middlewares[0], middlewares[1:]
    if first.before is not None:
        changed = await _ask(first, call, first.before(call))
        if changed is not None:
            call = replace(call, parameters=_check_parameters(first, changed, limits))
    try:
        port, output = await run_through(inner, call, attempt, limits)
    except AttemptError as fault:
        told = None if first.on_error is None else await _ask(first, call, first.on_error(call, fault))
        if told is None:
            raise
        mask_error(call.context.masker, told)
        if told is fault:
            raise
        raise told from fault
    if first.after is not None:
        found = await _ask(first, call, first.after(call, Exit(port, output)))
        if found is not None:
            return _read_exit(first, call, found, limits)
    return port, output


async def _ask(middleware: Middleware, call: OperationCall, answer: Awaitable[AnswerT]) -> AnswerT:
    try:
        return await answer
    except AttemptError as fault:
        mask_error(call.context.masker, fault)
        raise
    except Exception as fault:  # supervisor: another's mistake must fail the attempt, not the engine
        said = call.context.masker.mask(f"{type(fault).__name__}: {fault}")[:1000]
        message = f"The middleware {middleware.name} failed at {call.operation.name} with {said}"
        raise RetryableError(message, code="middleware_failed") from fault


def _check_parameters(middleware: Middleware, changed: object, limits: Limits) -> JsonObject:
    try:
        if isinstance(changed, dict):
            return cast("JsonObject", check_json(cast("JsonObject", changed), limits))
    except JsonRefusedError as error:
        raise _blame(middleware, f"gave parameters that are no JSON: {error.message.rstrip('.')}") from None
    raise _blame(middleware, f"gave {type(changed).__name__} for parameters, which are an object")


def _read_exit(middleware: Middleware, call: OperationCall, found: object, limits: Limits) -> tuple[str, JsonValue]:
    if not isinstance(found, Exit):
        raise _blame(middleware, f"gave {type(found).__name__} where an Exit or None is expected")
    if found.port not in call.operation.ports:
        raise _blame(middleware, f"left by the port {found.port!r}, which {call.operation.name} does not have")
    try:
        return found.port, mask_value(call.context.masker, check_json(found.result, limits))
    except JsonRefusedError as error:
        raise _blame(middleware, f"gave a result that is no JSON: {error.message.rstrip('.')}") from None


def _blame(middleware: Middleware, what: str) -> FatalError:
    message = f"The middleware {middleware.name} {what}; this is a mistake in the middleware."
    return FatalError(message, code="middleware_failed")
