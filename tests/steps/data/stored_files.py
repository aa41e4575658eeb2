"""Files for the operations to work on."""

from pathlib import Path
from typing import cast

from tests.support.attempts import Attempts, make_services

from flowforge.kit.objects import ObjectStore, parse_file
from flowforge.kit.values import JsonObject, JsonValue


class StoredFiles:
    """An object store with attempts that reach it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "files"
        self.attempts = Attempts(make_services(folder))
        self._store = cast("ObjectStore", self.attempts.services[ObjectStore])

    def put(self, data: bytes | str, name: str, media_type: str = "application/octet-stream") -> JsonObject:
        held = data.encode() if isinstance(data, str) else data
        return self._store.put(held, name=name, media_type=media_type).to_json()

    def read(self, value: JsonValue) -> bytes:
        return self._store.read(parse_file(value).id)

    def count(self) -> int:
        """How many files there are, drafts included."""
        return sum(1 for path in self._folder.rglob("*") if path.is_file())
