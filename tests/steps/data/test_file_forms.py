"""Every operation on a list gives the same for a file of rows as for the list."""

from pathlib import Path

import orjson
import pytest
from tests.support.attempts import Attempts, make_services

from flowforge.kit.objects import FileValue, ObjectStore, parse_file
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, Nature, Operation
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data import chunk
from flowforge.steps.data.aggregate import aggregate_items
from flowforge.steps.data.chunk import chunk_items
from flowforge.steps.data.filter import filter_items
from flowforge.steps.data.flatten import flatten_objects
from flowforge.steps.data.group import group_rows
from flowforge.steps.data.join import join_rows
from flowforge.steps.data.map import map_items
from flowforge.steps.data.omit import omit_fields
from flowforge.steps.data.pick import pick_fields
from flowforge.steps.data.pivot import pivot_rows
from flowforge.steps.data.rename import rename_fields
from flowforge.steps.data.sample import sample_items
from flowforge.steps.data.sort import sort_items
from flowforge.steps.data.unflatten import unflatten_objects
from flowforge.steps.data.unique import unique_items
from flowforge.steps.data.unpivot import unpivot_rows

ROWS: list[JsonValue] = [
    {"id": number, "kind": "abc"[number % 3], "n": number * 7919 % 101, "inner": {"x": number % 5}} for number in range(300)
]
RIGHT: list[JsonValue] = [{"kind": "a", "name": "Ä"}, {"kind": "b", "name": "B"}, {"kind": "z", "name": "Z"}]
SUM: JsonObject = {"function": "sum", "field": "n"}

CASES: dict[str, tuple[Operation, JsonObject]] = {
    "filter": (filter_items, {"where": [{"field": "n", "operator": "gt", "value": 50}]}),
    "filter by expression": (filter_items, {"expression": "item.n > values.x && index < 200", "values": {"x": 50}}),
    "map": (map_items, {"expression": "{'id': item.id, 'x': item.inner.x + index}"}),
    "map fields": (map_items, {"fields": {"x": {"path": "inner.x"}}, "keep_others": True}),
    "map spread": (map_items, {"expression": "[item.id, {'n': item.n}]", "spread": True}),
    "sort": (sort_items, {"by": [{"field": "kind"}, {"field": "n", "order": "descending"}]}),
    "sort limit": (sort_items, {"by": "n", "limit": 7}),
    "sort by expression": (sort_items, {"by": [{"expression": "item.n % 10"}]}),
    "group": (group_rows, {"by": ["kind", "inner.x"], "measures": {"sum": SUM}}),
    "group rows": (group_rows, {"by": "kind"}),
    "unique": (unique_items, {"by": "n"}),
    "unique last": (unique_items, {"by": ["kind", "inner.x"], "keep": "last"}),
    "unique none": (unique_items, {"by": "n", "keep": "none"}),
    "join": (join_rows, {"right": RIGHT, "on": "kind", "type": "full"}),
    "join semi": (join_rows, {"right": RIGHT, "on": "kind", "type": "semi"}),
    "pivot": (pivot_rows, {"rows": "kind", "columns": "inner.x", "measure": SUM, "total": "all"}),
    "unpivot": (unpivot_rows, {"keep": ["id"]}),
    "pick": (pick_fields, {"fields": ["inner.x", "id"]}),
    "omit": (omit_fields, {"fields": ["inner.x", "id"]}),
    "rename": (rename_fields, {"fields": {"id": "inner.id"}}),
    "flatten": (flatten_objects, {}),
    "unflatten": (unflatten_objects, {"lists": "keep"}),
    "sample": (sample_items, {"count": 20, "seed": 3}),
    "sample fraction": (sample_items, {"fraction": 0.2}),
    "sample last": (sample_items, {"count": 5, "method": "last"}),
    "aggregate": (aggregate_items, {"measures": {"sum": SUM, "median": {"function": "median", "field": "n"}}}),
}


class Desk:
    """Attempts, and files of rows in their object store."""

    def __init__(self, folder: Path) -> None:
        self.attempts = Attempts(make_services(folder))
        store = self.attempts.services[ObjectStore]
        assert isinstance(store, ObjectStore)
        self.store = store

    def put(self, data: bytes, name: str = "rows.ndjson") -> JsonObject:
        return self.store.put(data, name=name, media_type="application/octet-stream").to_json()

    def put_rows(self, rows: list[JsonValue]) -> JsonObject:
        return self.put(b"\n".join(orjson.dumps(row) for row in rows))

    def read(self, value: JsonValue) -> tuple[FileValue, bytes]:
        file = parse_file(value)
        with self.store.open(file.id) as stream:
            return file, stream.read()

    def read_rows(self, value: JsonValue) -> list[JsonValue]:
        return [orjson.loads(line) for line in self.read(value)[1].splitlines()]

    def count_files(self) -> int:
        return sum(1 for _ in self.store.list_objects())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(("operation", "parameters"), CASES.values(), ids=CASES.keys())
async def test_a_file_gives_the_same_as_a_list(operation: Operation, parameters: JsonObject, desk: Desk):
    expected = call_pure(operation, {"data": ROWS, **parameters})
    given: JsonObject = {"file": desk.put_rows(ROWS), **parameters}
    assert operation.nature_of(given) is Nature.HEAVY
    done = await desk.attempts.call(operation, given)
    if operation is aggregate_items:
        assert done == expected
        return
    assert desk.read_rows(done) == expected
    assert desk.read(done)[0].name == "rows.ndjson"
    assert desk.read(done)[0].media_type == "application/x-ndjson"


@pytest.mark.parametrize(("operation", "parameters"), CASES.values(), ids=CASES.keys())
async def test_an_empty_file_gives_the_same_as_an_empty_list(operation: Operation, parameters: JsonObject, desk: Desk):
    done = await desk.attempts.call(operation, {"file": desk.put(b""), **parameters})
    expected = call_pure(operation, {"data": [], **parameters})
    assert (done if operation is aggregate_items else desk.read_rows(done)) == expected


async def test_csv_goes_in_and_comes_out(desk: Desk):
    file = desk.put(b"id;n\nx;3\ny;12\nz;7\n", "numbers.csv")
    csv: JsonObject = {"delimiter": ";", "types": {"n": "integer"}}
    done = await desk.attempts.call(sort_items, {"file": file, "by": "n", "to": "csv", "csv": csv})
    stored, data = desk.read(done)
    assert (stored.name, stored.media_type, data) == ("numbers.csv", "text/csv", b"id;n\nx;3\nz;7\ny;12\n")
    total = await desk.attempts.call(aggregate_items, {"file": file, "csv": csv, "measures": {"sum": SUM}})
    assert total == {"sum": 22}


async def test_names_of_columns_belong_to_the_file_that_is_read(desk: Desk):
    file = desk.put(b"x,3\ny,12\n", "numbers.csv")
    csv: JsonObject = {"header": False, "columns": ["id", "n"], "types": "auto"}
    pick: JsonObject = {"file": file, "csv": csv, "fields": "n", "to": "csv"}
    assert desk.read(await desk.attempts.call(pick_fields, pick))[1] == b"n\n3\n12\n"


async def test_both_sides_of_a_join_may_be_files(desk: Desk):
    join: JsonObject = {"on": "kind", "type": "left"}
    expected = call_pure(join_rows, {"data": ROWS, "right": RIGHT, **join})
    right = desk.put(b"kind,name\na,\xc3\x84\nb,B\nz,Z\n", "kinds.csv")
    done = await desk.attempts.call(join_rows, {"file": desk.put_rows(ROWS), "right_file": right, **join})
    assert desk.read_rows(done) == expected
    done = await desk.attempts.call(join_rows, {"data": ROWS, "right_file": right, **join})
    assert desk.read_rows(done) == expected
    assert desk.read(done)[0].name == "joined.ndjson"


async def test_a_file_is_split_into_files(desk: Desk):
    for how, lengths in ({"size": 120}, [120, 120, 60]), ({"parts": 4}, [75, 75, 75, 75]):
        files = await desk.attempts.call(chunk_items, {"file": desk.put_rows(ROWS), **how})
        assert isinstance(files, list)
        parts = [desk.read_rows(file) for file in files]
        assert [len(part) for part in parts] == lengths
        assert [row for part in parts for row in part] == ROWS
        assert desk.read(files[1])[0].name == "rows-2.ndjson"


async def test_a_file_is_not_split_into_too_many(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chunk, "FILES_MAX", 2)
    with pytest.raises(FatalError) as caught:
        await desk.attempts.call(chunk_items, {"file": desk.put_rows(ROWS), "size": 100})
    assert caught.value.code == "too_many_files"


@pytest.mark.parametrize(
    ("data", "operation", "parameters", "code"),
    [
        (b'{"n": 1}\n{"n": "x"}\n', sort_items, {"by": "n"}, "type_mismatch"),
        (b'{"n": 1}\n{"n": \n', sort_items, {"by": "n"}, "json_invalid"),
        (b'{"n": 1}\n{"n": 0}\n', map_items, {"expression": "1 / item.n"}, "expression_failed"),
        (b'{"n": 1}\n[1]\n', group_rows, {"by": "n"}, "type_mismatch"),
    ],
)
async def test_where_a_row_is_wrong_no_file_is_left_behind(
    data: bytes, operation: Operation, parameters: JsonObject, code: str, desk: Desk
):
    file = desk.put(data)
    with pytest.raises(FatalError) as caught:
        await desk.attempts.call(operation, {"file": file, **parameters})
    assert caught.value.code == code
    assert desk.count_files() == 1


@pytest.mark.parametrize("operation", [case[0] for case in CASES.values()])
def test_either_a_value_or_a_file_is_given(operation: Operation, desk: Desk):
    file = desk.put(b"")
    parameters = next(parameters for one, parameters in CASES.values() if one is operation)
    wrong: list[JsonObject] = [{"data": [], "file": file}, {}]
    for both in wrong:
        with pytest.raises(InvalidParametersError, match="exactly one of data and file"):
            call_pure(operation, {**parameters, **both})


def test_reference_begins_with_what_the_operation_is_about_and_ends_with_files():
    properties = sort_items.parameters_schema["properties"]
    assert isinstance(properties, dict)
    names = list(properties)
    assert names[:2] == ["data", "by"]
    assert names[-5:] == ["file", "from", "to", "csv", "xlsx"]
