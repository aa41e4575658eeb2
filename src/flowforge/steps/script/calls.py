"""What a script's `http` does: the operation http.request, with the same parameters and the same guard."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final, cast

from flowforge.kit.border import digest_value
from flowforge.kit.sandbox.errors import HostFault
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import AttemptContext, AttemptError, FatalError, OperationContext
from flowforge.operations.calling import run_effect, validate_parameters
from flowforge.steps.http.request import request

_EVERY_STATUS: Final[list[JsonValue]] = [*range(100, 600)]


@dataclass(slots=True)
class HttpCalls:
    """The calls of one script."""

    context: OperationContext
    _made: Counter[str] = field(default_factory=Counter[str])

    async def request(self, method: str, url: JsonValue, options: JsonObject) -> JsonValue:
        """Status, headers, body and url of the answer, whatever the status is, unless `options` has `expect`.

        Equal calls of another attempt carry the same Idempotency-Key: it is made of the step's, the request, and how often the script
        has sent the same one before.

        Raises:
            HostFault: with the code that http.request gives; its cause is the operation's error.
        """
        if "cache" in options:
            fault = FatalError(
                "`cache` is for a step of http.request; a script can keep what it read.", code="invalid_parameters"
            )
            raise HostFault(fault.code, fault.message, fault)
        given: JsonObject = {"expect": _EVERY_STATUS, **options, "method": method.upper(), "url": url}
        try:
            answer = await run_effect(request, validate_parameters(request, given), self._derive(given), self.context.limits)
        except AttemptError as error:
            raise HostFault(error.code, error.message, error) from error
        found = cast("JsonObject", answer[1])
        return {name: value for name, value in found.items() if value is not None or name == "body"}

    def _derive(self, given: JsonObject) -> AttemptContext:
        mark = digest_value(given)
        self._made[mark] += 1
        key = f"{self.context.idempotency_key}-{mark[:16]}-{self._made[mark]}"
        return replace(cast("AttemptContext", self.context), idempotency_key=key)
