"""What a process of heavy operations is made of: the registry of operations, and the services that work there."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from flowforge.kit.clock import SystemClock
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonObject

if TYPE_CHECKING:
    from flowforge.engine.executor.heavy import HeavyServices
    from flowforge.entrypoints.wiring import Installation

HEAVY_LOADER: Final = "flowforge.steps:load_registry"


def describe_services(installation: "Installation") -> "HeavyServices":
    """The services for such a process, in a form that can be handed to it: files, and nothing that connects."""
    # The process itself imports this module too, and needs no engine: 0.2 s of each heavy attempt.
    from flowforge.engine.executor.heavy import HeavyServices

    roots = {root.name: str(root.folder) for root in installation.settings.list_file_roots()}
    return HeavyServices(f"{__name__}:make_services", {"files": str(installation.folder.files), "roots": {**roots}})


def make_services(given: JsonObject) -> Mapping[type, object]:
    """The services, in the process itself."""
    roots = cast("dict[str, str]", given["roots"])
    return {
        FileRoots: FileRoots((name, Path(folder)) for name, folder in roots.items()),
        ObjectStore: ObjectStore(Path(str(given["files"])), IdSource(SystemClock())),
    }
