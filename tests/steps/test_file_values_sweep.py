"""A07: a file value that was made up opens nothing, in every parameter of every operation that takes a file."""

import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest
from tests.support.attempts import Attempts
from tests.support.worlds import open_world

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import IS_FILE, AttemptError, Operation
from flowforge.operations.calling import InvalidParametersError
from flowforge.operations.models import list_models
from flowforge.steps import load_registry

REGISTRY = load_registry()
CANARY = "canary-7f3a"
ID = "file_01jz00000000000000000000q9"
FACTS: JsonObject = {"id": ID, "name": "x.csv", "media_type": "text/csv", "size": 11, "sha256": "0" * 64}
FORGED: Mapping[str, tuple[JsonObject, str]] = {
    "an id that is nobody's": ({"$file": FACTS}, "file_missing"),
    "an id that leads out": ({"$file": {**FACTS, "id": "../canary"}}, "file_invalid"),
    "an id with a folder": ({"$file": {**FACTS, "id": f"{ID}/../../canary"}}, "file_invalid"),
    "a path for an id": ({"$file": {**FACTS, "id": "{folder}/canary"}}, "file_invalid"),
    "the id of a value of the journal": ({"$file": {**FACTS, "id": "value_01jz00000000000000000000q9"}}, "file_invalid"),
    "a path beside the id": ({"$file": {**FACTS, "path": "{folder}/canary"}}, "file_invalid"),
    "a path alone": ({"$file": {"path": "{folder}/canary"}}, "file_invalid"),
    "a NUL in the id": ({"$file": {**FACTS, "id": f"{ID}\0"}}, "file_invalid"),
    "a size below zero": ({"$file": {**FACTS, "size": -1}}, "file_invalid"),
    "what a library for forms would give": ({"filepath": "{folder}/canary", "originalFilename": "x.csv"}, "file_invalid"),
    "the engine's own reference": ({"$ref": "value_01jz00000000000000000000q9"}, "file_invalid"),
    "nothing": ({}, "file_invalid"),
}
FILE = "<the file>"
"""Where the forged value goes."""
ROWS: JsonObject = {"from": "csv", "file": FILE}
HOST: JsonObject = {"url": "https://api.example.com/orders", "method": "POST"}
PLACES: Mapping[str, list[JsonObject]] = {
    "crypto.hash": [{"file": FILE}],
    "crypto.hmac": [{"file": FILE, "key": "k"}],
    "data.aggregate": [{**ROWS, "measures": {"n": {"function": "count"}}}],
    "data.chunk": [{**ROWS, "size": 1}],
    "data.convert": [{**ROWS, "to": "json"}],
    "data.filter": [{**ROWS, "where": [{"field": "a", "value": 1}]}],
    "data.flatten": [ROWS],
    "data.group": [{**ROWS, "by": "a", "measures": {"n": {"function": "count"}}}],
    "data.join": [
        {**ROWS, "right": [], "on": [{"left": "a", "right": "a"}]},
        {"data": [{"a": 1}], "right_file": FILE, "on": [{"left": "a", "right": "a"}]},
    ],
    "data.map": [{**ROWS, "expression": "item"}],
    "data.omit": [{**ROWS, "fields": ["a"]}],
    "data.pick": [{**ROWS, "fields": ["a"]}],
    "data.pivot": [{**ROWS, "rows": "a", "columns": "b", "measure": {"function": "count"}}],
    "data.query": [{"file": FILE, "query": "a"}],
    "data.rename": [{**ROWS, "fields": {"a": "b"}}],
    "data.sample": [{**ROWS, "count": 1}],
    "data.sort": [{**ROWS, "by": "a"}],
    "data.unflatten": [ROWS],
    "data.unique": [ROWS],
    "data.unpivot": [{**ROWS, "keep": ["a"]}],
    "data.validate": [{**ROWS, "schema": {}}, {"data": 1, "schema_file": FILE}],
    "email.parse": [{"file": FILE}],
    "email.send": [
        {"to": "a@example.com", "subject": "s", "text": "t", "attachments": [{"file": FILE}]},
        {"to": "a@example.com", "subject": "s", "text": "t", "attachments": [{"text": "a", "name": "a"}, {"file": FILE}]},
        {"to": "a@example.com", "subject": "s", "html": "<img src='cid:a'>", "images": [{"cid": "a", "file": FILE}]},
    ],
    "file.checksum": [{"file": FILE}],
    "file.gunzip": [{"file": FILE, "to": "out"}],
    "file.gzip": [{"file": FILE, "to": "out"}],
    "file.unzip": [{"file": FILE, "to": "out"}],
    "file.write": [{"file": FILE, "path": "out"}],
    "file.zip": [{"files": [{"file": FILE}], "to": "out"}],
    "http.request": [{**HOST, "file": FILE}, {**HOST, "multipart": [{"name": "a", "file": FILE}]}],
    "http.upload": [{"url": HOST["url"], "file": FILE}, {"url": HOST["url"], "file": FILE, "protocol": "tus"}],
    "message.telegram": [{"token": "t", "chat_id": 1, "text": "x", "file": FILE}],
    "object.put": [
        {"store": {"endpoint": "https://s3.example.com", "bucket": "reports", "access_key": "a", "secret_key": "b"}, "key": "x", "file": FILE}
    ],
    "text.template": [{"file": FILE, "data": {}}],
}  # fmt: skip
CALLS = [
    pytest.param(REGISTRY.get(name), parameters, id=f"{name} {number}")
    for name, calls in PLACES.items()
    for number, parameters in enumerate(calls)
]


def fill_in(value: JsonValue, forged: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: fill_in(item, forged) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_in(item, forged) for item in value]
    return forged if value == FILE else value


def find_field(value: JsonValue, path: str = "") -> str:
    """The dotted path of the parameter that takes the file, as an error should name it."""
    if isinstance(value, dict):
        return next((found for key, item in value.items() if (found := find_field(item, f"{path}.{key}"))), "")
    if isinstance(value, list):
        return next((found for index, item in enumerate(value) if (found := find_field(item, f"{path}[{index}]"))), "")
    return path.removeprefix(".") if value == FILE else ""


async def find_error(attempts: Attempts, operation: Operation, parameters: JsonObject) -> AttemptError:
    with pytest.raises(AttemptError) as caught:
        await attempts.call(operation, parameters)
    return caught.value


@pytest.mark.parametrize(("operation", "parameters"), CALLS)
async def test_a07_a_file_value_that_was_made_up_opens_nothing(operation: Operation, parameters: JsonObject, tmp_path: Path):
    (tmp_path / "canary").write_text(CANARY)
    field = find_field(parameters)
    async with open_world(operation, tmp_path) as attempts:
        plant_value(tmp_path)
        before = list_files(tmp_path)
        for case, (forged, code) in FORGED.items():
            value = json.loads(json.dumps(forged).replace("{folder}", str(tmp_path)))
            given = fill_in(parameters, value)
            assert isinstance(given, dict)
            error = await find_error(attempts, operation, given)
            if isinstance(error, InvalidParametersError):
                assert [fault.field for fault in error.faults] == [field], (case, error.message)
                continue
            assert (error.code, error.code in {known.code for known in operation.errors}) == (code, True), (case, error.message)
            assert error.message.startswith(f"{field}: "), (case, error.message)
            assert CANARY not in f"{error.message} {error.details}", case
        assert list_files(tmp_path) == before
        store = attempts.services[ObjectStore]
        assert isinstance(store, ObjectStore)


def plant_value(folder: Path) -> None:
    """A value that the journal keeps in the object store; no step may read it by naming its id."""
    place = folder / "files" / "q9"
    place.mkdir(exist_ok=True)
    (place / "value_01jz00000000000000000000q9").write_text(CANARY)


def list_files(folder: Path) -> list[tuple[str, bytes]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name != "tls")
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in paths]


def test_a07_each_parameter_that_takes_a_file_is_swept():
    taking = {operation.name for operation in REGISTRY if takes_file(operation)}
    assert taking == set(PLACES)
    for operation in REGISTRY:
        fields = {find_field(call).replace("[0]", "").replace("[1]", "") for call in PLACES.get(operation.name, [])}
        assert operation.file_parameters <= fields, operation.name


def takes_file(operation: Operation) -> bool:
    fields = [(name, field) for model in list_models(operation.parameters) for name, field in model.model_fields.items()]
    return bool(operation.file_parameters) or any(name == "file" or IS_FILE in field.metadata for name, field in fields)


@pytest.mark.parametrize(("operation", "parameters"), CALLS)
async def test_a13_what_runs_when_it_is_loaded_is_never_loaded(operation: Operation, parameters: JsonObject, tmp_path: Path):
    """Objects of Python that make a file when they are unpacked: as a pickle, in YAML, and as the text of either in JSON."""
    canary = tmp_path / "made-by-loading"
    command = f"touch {canary}"
    payloads = (
        f"cos\nsystem\n(S'{command}'\ntR.".encode(),
        f"!!python/object/apply:os.system ['{command}']\n".encode(),
        json.dumps([{"py/reduce": [{"py/function": "os.system"}, {"py/tuple": [command]}]}]).encode(),
        f"a\n__import__('os').system('{command}')\n".encode(),
    )
    async with open_world(operation, tmp_path) as attempts:
        store = attempts.services[ObjectStore]
        assert isinstance(store, ObjectStore)
        media_types = ("application/x-python-serialize", "application/yaml", "application/json", "text/csv")
        for payload, media_type in product(payloads, media_types):
            value = store.put(payload, name="payload", media_type=media_type).to_json()
            given = fill_in({name: item for name, item in parameters.items() if name != "from"}, value)
            assert isinstance(given, dict)
            with suppress(AttemptError):
                await attempts.call(operation, given)
            assert not canary.exists()
