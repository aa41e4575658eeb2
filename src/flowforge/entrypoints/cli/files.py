"""Files of this machine into the object store, and out of it."""

import shutil
from collections.abc import Iterator
from mimetypes import guess_type
from pathlib import Path
from typing import Final

from flowforge.entrypoints.cli.failures import UsageError
from flowforge.kit.errors import ValidationError
from flowforge.kit.objects import FileValue, ObjectStore, parse_file
from flowforge.kit.values import JsonObject, JsonValue

_PIECE_BYTES: Final = 2**20


def store_file(objects: ObjectStore, source: str) -> JsonObject:
    """The file as a file value.

    Raises:
        UsageError: it cannot be read.
    """
    path = Path(source)
    try:
        with path.open("rb") as stream, objects.create(name=path.name, media_type=guess_type(path.name)[0] or "") as stored:
            while piece := stream.read(_PIECE_BYTES):
                stored.write(piece)
            return stored.commit().to_json()
    except OSError as fault:
        raise UsageError(f"The file {source} cannot be read: {fault.strerror or fault}.") from fault


def save_file(objects: ObjectStore, result: JsonValue, target: str) -> None:
    """Writes the one file that the result is, or holds.

    Raises:
        UsageError: there is none or more than one, or the target cannot be written.
    """
    found = list(_find_files(result))
    if len(found) != 1:
        raise UsageError(f"--save takes the one file of a result; this one holds {len(found)}.")
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with objects.open(found[0].id) as stream, path.open("wb") as file:
            shutil.copyfileobj(stream, file, _PIECE_BYTES)
    except OSError as fault:
        raise UsageError(f"The file {target} cannot be written: {fault.strerror or fault}.") from fault


def _find_files(value: JsonValue) -> Iterator[FileValue]:
    try:
        yield parse_file(value)
    except ValidationError:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for item in inner:
            yield from _find_files(item)
