"""A08: no operation reads or changes what lies outside of its root, whichever of its parameters names the path."""

import gzip
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote
from zipfile import ZipFile

import pytest
from tests.support.attempts import Attempts
from tests.support.worlds import open_world

from flowforge.kit.objects import ObjectStore
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import AttemptError, Operation
from flowforge.operations.models import list_models
from flowforge.steps import load_registry

REGISTRY = load_registry()
CANARY = "canary-7f3a"
PATH = "<the path>"
"""Where the path that leads out goes."""
ESCAPES = (
    "../canary",
    "folder/../../canary",
    "{folder}/canary",
    "/etc/passwd",
    "..\\canary",
    "C:\\canary",
    "canary\0.txt",
    "link",
    "away/canary",
    "away/new",
    "dangling",
)
URL = "https://api.example.com/exports/stock.csv"
STORE: JsonObject = {
    "endpoint": "https://s3.example.com",
    "bucket": "reports",
    "access_key": "AKIDEXAMPLE",
    "secret_key": "${{ secrets.S3_SECRET }}",
}
PLACES: Mapping[str, list[JsonObject]] = {
    "file.checksum": [{"path": PATH}],
    "file.copy": [
        {"path": PATH, "to": "copy"},
        {"path": "parcel", "to": PATH, "mode": "replace"},
        {"path": "inside.txt", "to": PATH, "mode": "replace"},
        {"path": "inside.txt", "to": PATH, "to_root": "other", "mode": "replace"},
    ],
    "file.create_folder": [{"path": PATH}],
    "file.delete": [{"path": PATH, "recursive": True, "missing": "skip"}],
    "file.gunzip": [{"path": PATH, "to": "out"}, {"path": "inside.gz", "to": PATH, "mode": "replace"}],
    "file.gzip": [{"path": PATH, "to": "out"}, {"path": "inside.txt", "to": PATH, "mode": "replace"}],
    "file.list": [{"path": PATH}, {"path": PATH, "recursive": True}],
    "file.move": [
        {"path": PATH, "to": "moved"},
        {"path": "inside.txt", "to": PATH, "mode": "replace"},
        {"path": "inside.txt", "to": PATH, "to_root": "other", "mode": "replace"},
    ],
    "file.read": [{"path": PATH}, {"path": PATH, "as": "file"}],
    "file.stat": [{"path": PATH}],
    "file.unzip": [{"path": PATH, "to": "out"}, {"path": "inside.zip", "to": PATH, "mode": "replace"}],
    "file.write": [{"path": PATH, "text": "x"}, {"path": PATH, "text": "x", "mode": "create"}],
    "file.zip": [{"paths": [PATH], "to": "out"}, {"paths": ["inside.txt"], "to": PATH, "mode": "replace"}],
    "http.download": [{"url": URL, "path": PATH, "mode": "replace"}],
    "http.upload": [{"url": URL, "path": PATH}, {"url": URL, "path": PATH, "protocol": "tus"}],
    "object.get": [{"store": STORE, "key": "orders/42.json", "path": PATH, "mode": "replace"}],
    "object.put": [{"store": STORE, "key": "x", "path": PATH}],
    "sql.batch": [{"database": PATH, "statements": [{"statement": "CREATE TABLE a (b)"}]}],
    "sql.execute": [{"database": PATH, "statement": "CREATE TABLE a (b)"}],
    "sql.query": [{"database": PATH, "statement": "SELECT 1"}],
}
OTHER_ROOTS = {"data.convert", "data.query", "data.validate"}
"""`root` is the name of an element of XML there."""
CALLS = [
    pytest.param(REGISTRY.get(name), parameters, id=f"{name} {number}")
    for name, calls in PLACES.items()
    for number, parameters in enumerate(calls)
]


def lay_out(folder: Path) -> None:
    """A canary, a folder and a place beside the roots, and links that lead there from both roots."""
    (folder / "canary").write_text(CANARY)
    (folder / "outside").mkdir()
    (folder / "outside" / "canary").write_text(CANARY)
    for root in (folder / "work", folder / "other"):
        (root / "folder").mkdir()
        (root / "folder" / "a.txt").write_text("a")
        (root / "link").symlink_to(folder / "canary")
        (root / "away").symlink_to(folder / "outside")
        (root / "dangling").symlink_to(folder / "made")
    work = folder / "work"
    (work / "parcel").mkdir()
    (work / "inside.txt").write_text("inside")
    (work / "inside.gz").write_bytes(gzip.compress(b"inside"))
    with ZipFile(work / "inside.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with closing(sqlite3.connect(work / "inside.db")) as connection:
        connection.execute("CREATE TABLE t (a)")


def list_all(folder: Path) -> list[tuple[str, str]]:
    """Every file, folder and link of the test's folder, with what it holds; the object store has its own check."""
    found: list[tuple[str, str]] = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not name.startswith("files"):
            content = str(path.readlink()) if path.is_symlink() else str(path.read_bytes()) if path.is_file() else ""
            found.append((name, content))
    return found


def fill_in(value: JsonValue, path: str) -> JsonValue:
    if isinstance(value, dict):
        return {key: fill_in(item, path) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_in(item, path) for item in value]
    return path if value == PATH else value


async def find_code(attempts: Attempts, operation: Operation, parameters: JsonObject) -> str:
    try:
        output = await attempts.call(operation, parameters)
    except AttemptError as error:
        code, told = error.code, f"{error.message} {error.details}"
    else:
        code, told = "done", json.dumps(output)
    assert CANARY not in told
    return code


@pytest.mark.parametrize(("operation", "parameters"), CALLS)
async def test_a08_a_path_that_leads_out_is_denied_and_nothing_is_touched(
    operation: Operation, parameters: JsonObject, tmp_path: Path
):
    async with open_world(operation, tmp_path) as attempts:
        attempts.services[FileRoots] = FileRoots([("work", tmp_path / "work"), ("other", tmp_path / "other")])
        lay_out(tmp_path)
        before = list_all(tmp_path)
        codes: dict[str, str] = {}
        for escape in ESCAPES:
            path = escape.replace("{folder}", str(tmp_path))
            if operation.name.startswith("sql."):
                path = f"sqlite://other/{quote(path)}?mode=create"
            given = fill_in(parameters, path)
            assert isinstance(given, dict)
            codes[escape] = await find_code(attempts, operation, given)
            assert list_all(tmp_path) == before, escape
        store = attempts.services[ObjectStore]
        assert isinstance(store, ObjectStore)
        assert list(store.list_objects()) == []
    assert codes == dict.fromkeys(ESCAPES, "path_denied")
    assert "path_denied" in {error.code for error in operation.errors}


@pytest.mark.parametrize(("operation", "parameters"), CALLS)
async def test_a08_a_root_that_is_not_configured_is_told(operation: Operation, parameters: JsonObject, tmp_path: Path):
    async with open_world(operation, tmp_path) as attempts:
        attempts.services[FileRoots] = FileRoots([])
        path = "sqlite://other/x" if operation.name.startswith("sql.") else "x"
        given = fill_in(parameters, path)
        assert isinstance(given, dict)
        assert await find_code(attempts, operation, given) == "root_unknown"


def test_a08_each_operation_that_takes_a_path_is_swept():
    taking = {operation.name for operation in REGISTRY if takes_path(operation)}
    assert taking - OTHER_ROOTS == set(PLACES)


def takes_path(operation: Operation) -> bool:
    names = {name for model in list_models(operation.parameters) for name in model.model_fields}
    return bool(names & {"root", "to_root"}) or "path_denied" in {error.code for error in operation.errors}
