"""F60: a step whose files cannot be reached now is tried again, and what did nothing yet is not counted against its retries."""

from pathlib import Path
from typing import NoReturn

import pytest
from tests.support.attempts import Attempts, make_services, refuse
from tests.support.clock import ManualClock

from flowforge.kit.errors import StorageError
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore
from flowforge.kit.objects.folder import FolderShelf
from flowforge.kit.values import JsonObject
from flowforge.operations import RetryableError
from flowforge.steps import load_registry

REGISTRY = load_registry()


class TornShelf(FolderShelf):
    """Gives bytes back, and takes none."""

    def begin(self, file_id: str) -> NoReturn:
        raise StorageError(f"The object store cannot take {file_id[:5]} now.")


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    return Attempts(make_services(tmp_path))


def keep(tmp_path: Path) -> JsonObject:
    store = ObjectStore(tmp_path / "files", IdSource(ManualClock()))
    return store.put(b'[{"a": 1}]', name="rows.json", media_type="application/json").to_json()


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("file.write", {"path": "x"}),
        ("crypto.hash", {}),
        ("text.template", {}),
    ],
)
async def test_f60_file_that_cannot_be_reached_is_waited_for(
    attempts: Attempts, tmp_path: Path, operation: str, more: JsonObject
):
    definition = REGISTRY.find(operation)
    assert definition is not None
    file = keep(tmp_path)
    (tmp_path / "files").rename(tmp_path / "aside")
    (tmp_path / "files").touch()

    error = await refuse(attempts, definition, **more, file=file)

    assert isinstance(error, RetryableError)
    assert (error.code, error.postpones, error.after_ms) == ("storage_unavailable", True, 5_000)


async def test_f60_rows_that_cannot_be_stored_are_written_again(attempts: Attempts, tmp_path: Path):
    file = keep(tmp_path)
    attempts.services[ObjectStore] = ObjectStore(TornShelf(tmp_path / "files"), IdSource(ManualClock()))
    definition = REGISTRY.find("data.convert")
    assert definition is not None

    error = await refuse(attempts, definition, **{"from": "json", "to": "csv", "file": file})

    assert isinstance(error, RetryableError)
    assert (error.code, error.postpones) == ("file_failed", True)


async def test_f60_effect_whose_result_cannot_be_stored_follows_its_own_retry(attempts: Attempts, tmp_path: Path):
    (tmp_path / "work" / "x.txt").write_text("x")
    attempts.services[ObjectStore] = ObjectStore(TornShelf(tmp_path / "files"), IdSource(ManualClock()))
    definition = REGISTRY.find("file.read")
    assert definition is not None

    error = await refuse(attempts, definition, path="x.txt", **{"as": "file"})

    assert isinstance(error, RetryableError)
    assert (error.code, error.postpones) == ("file_failed", False)
