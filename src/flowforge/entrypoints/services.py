"""The services that operations may ask for, wired to one data folder."""

from collections.abc import Mapping

from flowforge.entrypoints.wiring import Installation
from flowforge.kit.egress import EgressClient, EgressPolicy
from flowforge.kit.objects import ObjectStore
from flowforge.kit.paths import FileRoots


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
