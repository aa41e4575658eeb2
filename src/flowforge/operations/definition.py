"""What an operation is: one typed function, defined once, served everywhere.

From one `Operation` come the step kind in a workflow, its form, its reference page, the CLI call and, later, the REST endpoint and
the MCP tool.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from flowforge.kit.limits import Limits
from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject, JsonValue

ServiceT = TypeVar("ServiceT")


class Nature(StrEnum):
    """What running the operation means for the engine."""

    PURE = "pure"
    """No effect outside, the same result again: runs inside a turn, needs no commit of its own, is an expression function too."""
    EFFECT = "effect"
    """Touches the world: planned in the journal before it begins, its outcome committed before the next one begins."""
    HEAVY = "heavy"
    """An effect that keeps a processor busy: runs in a process pool."""


class AttemptError(Exception):
    """Root of the two errors that an operation raises on purpose: use `FatalError` or `RetryableError`.

    `code` is the error code that the workflow sees; `details` is shown as `steps.<id>.error.details`.
    """

    def __init__(self, message: str, *, code: str, details: JsonValue = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details = details


class FatalError(AttemptError):
    """Raise to fail the step for good: it is never retried. `code` is the error code that the workflow sees."""

    def __init__(self, message: str, *, code: str = "fatal", details: JsonValue = None) -> None:
        super().__init__(message, code=code, details=details)


class RetryableError(AttemptError):
    """Raise to fail the attempt; the step's `retry` decides whether another follows.

    `after_ms` is the least delay before it, in milliseconds (a server's Retry-After), capped at 1 h by the engine. With `by_default`
    false the operation does not expect another attempt to help (a status of 404): one follows only where `retry.on` names the code.
    With `postpones` the attempt never reached the other side (its circuit breaker is open): another follows after `after_ms` in any
    case, and none of the step's attempts is used up; `details.host` and `details.until` tell a person what it waits for.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "retryable",
        details: JsonValue = None,
        after_ms: int | None = None,
        by_default: bool = True,
        postpones: bool = False,
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.after_ms = after_ms
        self.by_default = by_default
        self.postpones = postpones


@dataclass(frozen=True, slots=True)
class Example:
    """One worked call, shown in the reference and run by its test. `varies`: the result is another at each call, of the same shape."""

    title: str
    parameters: JsonObject
    result: JsonValue = None
    varies: bool = False


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """An error code that an operation can give, with the sentence that explains it."""

    code: str
    meaning: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """What an operation with several ports returns: by which port the step leaves, and its result."""

    port: str
    result: "BaseModel | JsonValue"


class OperationContext(Protocol):
    """What the engine hands to a running effect. Pure operations get none.

    `service` gives what the composition root wired in (egress client, file roots, object store), by its type; it raises
    `FatalError` with the code `service_missing` where nothing was. `depth` counts the FlowForge calls over HTTP that led to this
    run (0 for one that no other FlowForge run caused). `masker` knows the secrets that this attempt was given, and no
    others: it is used on outputs too, where hiding a stranger's secret would damage data. `now_ms` is the wall clock, in milliseconds
    since 1970.
    """

    @property
    def run_id(self) -> str: ...

    @property
    def step(self) -> str: ...

    @property
    def attempt(self) -> int: ...

    @property
    def idempotency_key(self) -> str: ...

    @property
    def depth(self) -> int: ...

    @property
    def masker(self) -> Masker: ...

    @property
    def limits(self) -> Limits: ...

    def now_ms(self) -> int: ...

    def service(self, kind: type[ServiceT]) -> ServiceT: ...

    def log(self, level: str, message: str, **fields: JsonValue) -> None: ...


@dataclass(frozen=True, slots=True)
class Cache:
    """The result of a call may be used again, for so long, where the same is called in the same workspace.

    `keep` is the time, or a function that reads it from the parameters (None: not of this call). `only_reads`: said of an effect, which
    is not repeated where a result is used again: it changes nothing outside.
    """

    keep: timedelta | Callable[[Any], timedelta | None]
    only_reads: bool = False


OperationFunction = Callable[..., Awaitable[Any]] | Callable[..., Any]


@dataclass(frozen=True)
class Operation:
    """An operation: its facts, its models and its function.

    `file_function` is the second form of a pure operation: a heavy function that is used where one of `file_parameters` is given.

    `secret_parameters` and `url_parameters` are dotted paths of parameters (`headers`, `auth.token`): everything below a secret path
    may hold `${{ secrets.NAME }}`; in a URL parameter inserted values are percent-encoded.
    """

    name: str
    version: int
    title: str
    description: str
    category: str
    icon: str
    nature: Nature
    parameters: type[BaseModel]
    result: type[BaseModel] | None
    function: OperationFunction = field(repr=False)
    ports: tuple[str, ...] = ("done",)
    errors: tuple[ErrorCode, ...] = ()
    permission: str = "operation:call"
    secret_parameters: frozenset[str] = frozenset()
    url_parameters: frozenset[str] = frozenset()
    literal_parameters: frozenset[str] = frozenset()
    file_function: OperationFunction | None = field(default=None, repr=False)
    file_parameters: frozenset[str] = frozenset()
    target: Callable[[Mapping[str, Any]], str] | None = None
    """Names the host or resource that an effect touches, for the effects ledger; gets the evaluated parameters."""
    examples: tuple[Example, ...] = ()
    cache: Cache | None = None
    """None: every call is made."""

    @cached_property
    def parameters_schema(self) -> JsonObject:
        """JSON Schema (2020-12) of the parameters, as a caller gives them."""
        return self.parameters.model_json_schema(by_alias=True, mode="validation")

    @cached_property
    def result_schema(self) -> JsonObject:
        """JSON Schema (2020-12) of the result; `{}` where any JSON may come."""
        return {} if self.result is None else self.result.model_json_schema(by_alias=True, mode="serialization")

    @property
    def is_pure(self) -> bool:
        """Whether it is an expression function; with a file given it is an effect all the same."""
        return self.nature is Nature.PURE

    def nature_of(self, given: Mapping[str, object]) -> Nature:
        """The nature of a call with these parameters; null is as if it were not given."""
        if self.file_function is None:
            return self.nature
        return Nature.HEAVY if any(given.get(name) is not None for name in self.file_parameters) else self.nature
