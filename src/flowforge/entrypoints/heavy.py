"""What a process of heavy operations is made of: the registry of operations, and the services that work there."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import InvariantError
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore, open_shelf
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonObject

if TYPE_CHECKING:
    from flowforge.engine.executor.heavy import HeavyServices
    from flowforge.entrypoints.wiring import Installation
    from flowforge.kit.objects.shelf import Shelf

HEAVY_LOADER: Final = "flowforge.steps:load_registry"


def describe_services(installation: "Installation") -> "HeavyServices":
    """The services for such a process, in a form that can be handed to it: files, and of what connects the object store alone.

    Where that is elsewhere (OBJECT_STORE_URL) the process reads its own settings: what is handed over stands on the command line, which
    everybody on the machine may see, and the URL may hold keys.
    """
    # The process itself imports this module too, and needs no engine: 0.2 s of each heavy attempt.
    from flowforge.engine.executor.heavy import HeavyServices

    settings = installation.settings
    roots = {root.name: str(root.folder) for root in settings.list_file_roots()}
    given: JsonObject = {"files": str(installation.folder.files), "roots": {**roots}}
    if settings.object_store_url is not None:
        given["data"] = str(installation.folder.root)
    return HeavyServices(f"{__name__}:make_services", given)


def make_services(given: JsonObject) -> Mapping[type, object]:
    """The services, in the process itself."""
    roots = cast("dict[str, str]", given["roots"])
    data = given.get("data")
    shelf = Path(str(given["files"])) if data is None else _open_shelf(Path(str(data)))
    return {
        FileRoots: FileRoots((name, Path(folder)) for name, folder in roots.items()),
        ObjectStore: ObjectStore(shelf, IdSource(SystemClock())),
    }


def _open_shelf(data: Path) -> "Shelf":
    # Only where the files are not in the data folder.
    from flowforge.kit.settings_source import load_settings

    url = load_settings(os.environ, data=data).object_store_url
    if url is None:
        raise InvariantError("OBJECT_STORE_URL is set in the worker, and not in its process for heavy operations.")
    return open_shelf(url.get_secret_value())
