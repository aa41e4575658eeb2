"""Calls operations as the engine does, with whatever services a test gives."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.clock import ManualClock

from flowforge.kit.egress import EgressClient
from flowforge.kit.ids import IdSource
from flowforge.kit.limits import Limits
from flowforge.kit.masking import Masker
from flowforge.kit.objects import ObjectStore
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import AttemptContext, FatalError, Nature, Operation, RetryableError
from flowforge.operations.calling import call_pure, run_effect, validate_parameters

LogLine = tuple[str, str, JsonObject]


class Attempts:
    """One attempt after another, with the same services; heavy operations run right here. `log` holds what the operations logged."""

    def __init__(
        self, services: Mapping[type, object], secrets: tuple[str, ...] = (), depth: int = 0, limits: Limits | None = None
    ) -> None:
        self.services = dict(services)
        self.secrets = secrets
        self.depth = depth
        self.limits = limits or Limits()
        self.now_ms = 1_767_323_045_000
        self.log: list[LogLine] = []

    async def call(self, operation: Operation, parameters: JsonObject, key: str = "key-1") -> JsonValue:
        """The output. Raises as `run_effect`."""
        if operation.nature_of(parameters) is Nature.PURE:
            return call_pure(operation, parameters)
        masker = Masker()
        for secret in self.secrets:
            masker.add(secret)
        context = AttemptContext(
            "run_1", "step", 1, key, self.services, self._write, masker, self.depth, self.limits, lambda: self.now_ms
        )
        return (await run_effect(operation, validate_parameters(operation, parameters), context))[1]

    def _write(self, level: str, message: str, fields: JsonObject) -> None:
        self.log.append((level, message, fields))


async def call(attempts: Attempts, operation: Operation, **parameters: JsonValue) -> JsonObject:
    """The output of an operation whose result is an object."""
    output = await attempts.call(operation, parameters)
    assert isinstance(output, dict)
    return output


async def refuse(attempts: Attempts, operation: Operation, **parameters: JsonValue) -> FatalError | RetryableError:
    """The error of an attempt that fails."""
    with pytest.raises((FatalError, RetryableError)) as caught:
        await attempts.call(operation, parameters)
    return caught.value


def make_services(folder: Path, client: EgressClient | None = None) -> dict[type, object]:
    """File roots `work` and `other`, and an object store, in the folder."""
    for name in ("work", "other", "files"):
        (folder / name).mkdir(exist_ok=True)
    services: dict[type, object] = {
        FileRoots: FileRoots([("work", folder / "work"), ("other", folder / "other")]),
        ObjectStore: ObjectStore(folder / "files", IdSource(ManualClock())),
    }
    return services if client is None else {**services, EgressClient: client}
