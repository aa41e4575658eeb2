"""The services that operations may ask for, wired to one data folder."""

from collections.abc import Mapping

from flowforge.entrypoints.wiring import Installation
from flowforge.kit.egress import EgressClient, EgressPolicy
from flowforge.kit.objects import ObjectStore
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonValue
from flowforge.operations.calling import run_effect, run_pure, validate_parameters
from flowforge.operations.context import AttemptContext
from flowforge.operations.definition import Operation


def make_services(installation: Installation) -> Mapping[type, object]:
    """By the class under which an operation asks for it. Close them with `close_services`.

    Raises:
        ValidationError: EGRESS_ALLOW has an entry that is none.
    """
    settings = installation.settings
    policy = EgressPolicy.parse(settings.egress_allow.split(","))
    return {
        EgressClient: EgressClient(policy, settings.limits, installation.clock),
        FileRoots: FileRoots(settings.list_file_roots()),
        ObjectStore: installation.objects,
    }


async def close_services(services: Mapping[type, object]) -> None:
    """Ends the connections to the outside."""
    client = services.get(EgressClient)
    if isinstance(client, EgressClient):
        await client.aclose()


async def call_operation(installation: Installation, operation: Operation, value: JsonValue) -> JsonValue:
    """Calls an operation outside of any run; its output.

    Raises:
        FatalError, RetryableError: it failed, or the parameters do not fit.
    """
    limits = installation.settings.limits
    parameters = validate_parameters(operation, value)
    if operation.is_pure:
        return run_pure(operation, parameters, limits)[1]
    services = make_services(installation)
    call_id = installation.ids.make_id("call")
    context = AttemptContext(run_id=call_id, step="call", attempt=1, idempotency_key=call_id, services=services)
    try:
        return (await run_effect(operation, parameters, context, limits))[1]
    finally:
        await close_services(services)
