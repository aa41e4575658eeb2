"""The context of one attempt, as the engine and the command line build it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from flowforge.kit.limits import Limits
from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.definition import FatalError
from flowforge.operations.masking import mask_object

ServiceT = TypeVar("ServiceT")

LogWriter = Callable[[str, str, JsonObject], None]
"""Takes level (`debug`, `info`, `warning`, `error`), message and fields, all masked."""


DEFAULT_LIMITS: Final = Limits()


def _no_clock() -> int:
    raise FatalError("This process hands no clock to operations; start it with one.", code="service_missing")


def _write_nothing(level: str, message: str, fields: JsonObject) -> None:
    del level, message, fields


@dataclass(slots=True)
class AttemptContext:
    """An `OperationContext`: see there for what the fields mean. `services` maps a service's class to the service.

    Not frozen, because one is made for each attempt and `frozen` makes that three times as dear.
    """

    run_id: str
    step: str
    attempt: int
    idempotency_key: str
    services: Mapping[type, object] = field(default_factory=dict[type, object])
    write_log: LogWriter = _write_nothing
    masker: Masker = field(default_factory=Masker)
    depth: int = 0
    limits: Limits = DEFAULT_LIMITS
    read_clock: Callable[[], int] = _no_clock

    def now_ms(self) -> int:
        return self.read_clock()

    def service(self, kind: type[ServiceT]) -> ServiceT:
        found = self.services.get(kind)
        if not isinstance(found, kind):
            raise FatalError(
                f"This process runs without the service {kind.__name__}, which the operation needs; start it with one.",
                code="service_missing",
            )
        return found

    def log(self, level: str, message: str, **fields: JsonValue) -> None:
        self.write_log(level, self.masker.mask(message), mask_object(self.masker, fields))
