"""Numbers beyond 64 bits, days that do not exist, broken encodings and formats: one clear error that says where, and nothing half written.

Parameters themselves are JSON that was checked where it came in (tests/kit/test_border.py): what is broken here is inside of texts and
files, or becomes too large only by working it out.
"""

import gzip
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.worlds import open_world

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import INTEGER_MAX, JsonObject
from flowforge.operations import AttemptError, FatalError
from flowforge.steps import load_registry

REGISTRY = load_registry()
BEYOND = "9223372036854775808"
LAST: JsonObject = {"a": INTEGER_MAX, "k": 1}
ONE: JsonObject = {"a": 1, "k": 1}
SUM: JsonObject = {"s": {"function": "sum", "field": "a"}}
SHOP = "sqlite://data/shop.db"

Case = tuple[str, JsonObject, str, str]
"""An operation, its parameters, the error's code, and what its message says of the place."""

NUMBERS: Mapping[str, Case] = {
    "in JSON": ("data.convert", {"from": "json", "data": f'[\n{{"a": {BEYOND}}}]'}, "number_range", r"at \[0\]\.a"),
    "in JSON, endless": ("data.convert", {"from": "json", "data": '{"a": [1, 1e999]}'}, "number_range", r"at a\[1\]"),
    "in JSON, of 5000 digits": ("data.convert", {"from": "json", "data": "9" * 5_000}, "number_range", "number"),
    "in NDJSON": ("data.convert", {"from": "ndjson", "data": f'{{"a":1}}\n{{"a":{BEYOND}}}'}, "number_range", "Line 2"),
    "in YAML": ("data.convert", {"from": "yaml", "data": f"a: 1\nb: {BEYOND}"}, "yaml_invalid", "line 2, column 4"),
    "in YAML, endless": ("data.convert", {"from": "yaml", "data": "a: 1\nb: .inf"}, "yaml_invalid", "line 2, column 4"),
    "a sum": ("data.aggregate", {"data": [LAST, ONE], "measures": SUM}, "number_range", "^s: "),
    "a sum of numbers": ("data.aggregate", {"data": [{"a": 1e308}, {"a": 1e308}], "measures": SUM}, "number_range", "^s: "),
    "a sum of a group": ("data.group", {"data": [LAST, ONE], "by": "k", "measures": SUM}, "number_range", "^s: "),
    "a sum of a cell": (
        "data.pivot",
        {"data": [LAST, ONE], "rows": "k", "columns": "k", "measure": {"function": "sum", "field": "a"}},
        "number_range",
        "sum",
    ),
    "of a text": ("data.aggregate", {"data": [ONE, {"a": "x"}], "measures": SUM}, "type_mismatch", r"^s: item\[1\]\.a: "),
    "in an expression": ("data.map", {"data": [ONE, LAST], "expression": "item.a + 1"}, "expression_failed", r"item\[1\]"),
    "in a condition": ("data.filter", {"data": [LAST], "expression": "item.a * 2 > 1"}, "expression_failed", r"item\[0\]"),
    "in a query": ("data.jsonata", {"data": 1, "query": f"{BEYOND} * 2"}, "script_result", "64 bits"),
    "in a query, endless": ("data.jsonata", {"data": 1, "query": "$power(10, 400)"}, "jsonata_invalid", "range"),
    "of a script": ("script.javascript", {"source": "return 2**63"}, "script_result", "64 bits"),
    "of a script, endless": ("script.javascript", {"source": "return { a: 1 / 0 }"}, "script_result", "."),
    "of years": ("time.add", {"data": "2026-01-01T00:00:00Z", "years": 9_000}, "date_range", "years 1 to 9999"),
    "of seconds": ("time.parse", {"data": "9" * 20, "form": "epoch_s"}, "time_invalid", "9999"),
}
DAYS: Mapping[str, Case] = {
    "a date": ("time.parse", {"data": "2026-02-30"}, "time_invalid", "February 2026 has no day 30"),
    "a leap day": ("time.parse", {"data": "2025-02-29T10:00:00Z"}, "time_invalid", "February 2025 has no day 29"),
    "an hour": ("time.parse", {"data": "2026-01-01T25:00:00Z"}, "time_invalid", "hour 25"),
    "by a pattern": ("time.parse", {"data": "31.11.2026", "form": "pattern", "pattern": "%d.%m.%Y"}, "time_invalid", "day 31"),
    "of a mail": ("time.parse", {"data": "Mon, 30 Feb 2026 10:00:00 +0000", "form": "rfc2822"}, "time_invalid", "day 30"),
    "an hour that was left out": (
        "time.parse",
        {"data": "2026-03-29T02:30:00", "timezone": "Europe/Berlin", "ambiguous": "fail"},
        "time_invalid",
        "2026-03-29",
    ),
    "no zone": ("time.parse", {"data": "2026-03-29T02:30:00", "timezone": "Europe/Bärlin"}, "timezone_unknown", "Bärlin"),
    "to be added to": ("time.add", {"data": "2026-02-30T00:00:00Z", "days": 1}, "time_invalid", "^data: "),
    "to count from": (
        "time.between",
        {"start": "2026-02-30T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
        "time_invalid",
        "^start: ",
    ),
    "to count to": ("time.between", {"start": "2026-01-01T00:00:00Z", "end": "2026-02-30T00:00:00Z"}, "time_invalid", "^end: "),
    "a business day": ("time.business_days", {"data": "2026-02-30", "add": 1}, "time_invalid", "^data: "),
    "a holiday": (
        "time.business_days",
        {"data": "2026-02-20", "add": 1, "calendar": {"holidays": ["2026-02-30"]}},
        "time_invalid",
        r"holidays\[0\]",
    ),
    "to be moved": ("time.convert", {"data": "2026-13-01T00:00:00Z", "timezone": "UTC"}, "time_invalid", "^data: "),
    "to be written": ("time.format", {"data": "2026-04-31T00:00:00Z", "form": "date"}, "time_invalid", "^data: "),
    "to be taken apart": ("time.parts", {"data": "2026-04-31T00:00:00Z"}, "time_invalid", "^data: "),
    "in an expression": (
        "data.map",
        {"data": [{"a": "2026-01-01T00:00:00Z"}, {"a": "2026-02-30T00:00:00Z"}], "expression": "timestamp(item.a)"},
        "expression_failed",
        r"item\[1\]",
    ),
    "by a schema": (
        "data.validate",
        {"data": {"at": "2026-02-30"}, "schema": {"properties": {"at": {"format": "date"}}}, "on_invalid": "fail"},
        "schema_mismatch",
        "at",
    ),
    "of a script": ("script.javascript", {"source": "return new Date(NaN)"}, "script_result", "Date"),
}
TEXTS: Mapping[str, Case] = {
    "JSON that is cut": ("data.convert", {"from": "json", "data": '{"a": 1,\n "b": }'}, "json_invalid", "line 2, column 7"),
    "JSON with half a pair": ("data.convert", {"from": "json", "data": '{"a": "\\ud800"}'}, "encoding", "surrogate"),
    "CSV with a quote": ("data.convert", {"from": "csv", "data": 'a,b\n1,"x'}, "csv_invalid", "Line 2"),
    "XML that is not closed": ("data.convert", {"from": "xml", "data": "<a>\n<b></a>"}, "xml_invalid", "line 2, column 6"),
    "XML with entities": (
        "data.convert",
        {"from": "xml", "data": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'},
        "xml_forbidden",
        "DTD",
    ),
    "YAML with a tag": ("data.convert", {"from": "yaml", "data": "a: 1\nb: !!python/name:os.system"}, "yaml_invalid", "line 2"),
    "YAML with tabs": ("data.convert", {"from": "yaml", "data": "a:\n\t- 1"}, "yaml_invalid", "line 2"),
    "no workbook": ("data.convert", {"from": "xlsx", "data": "UEsDBA=="}, "xlsx_invalid", "workbook"),
    "no base64 for a workbook": ("data.convert", {"from": "xlsx", "data": "%%%"}, "base64_invalid", "base64"),
    "no base64": ("crypto.decode", {"data": "%%%"}, "encoding_invalid", "^data "),
    "base64 of no text": ("crypto.decode", {"data": "YWL/"}, "encoding_invalid", "^data: byte 2"),
    "a pattern": ("text.regex", {"data": "a", "pattern": "("}, "regex_invalid", "^pattern: "),
    "a replacement": (
        "text.regex",
        {"data": "a", "pattern": "a", "action": "replace", "replacement": "\\7"},
        "replacement_invalid",
        "^replacement ",
    ),
    "a template": ("text.template", {"template": "a\n{{ a", "data": {}}, "template_invalid", "Line 2"),
    "a query": ("data.query", {"data": 1, "query": "a["}, "query_invalid", "character 3"),
    "a patch": ("data.patch", {"data": {}, "patch": [{"op": "remove", "path": "/x"}]}, "patch_failed", r"patch\[0\]"),
    "a schema": ("data.validate", {"data": 1, "schema": {"type": "whole"}}, "schema_invalid", "whole"),
    "a file in base64": ("file.write", {"path": "new/a", "base64": "%%%"}, "base64_invalid", "base64"),
    "an attachment in base64": (
        "email.send",
        {"to": "a@example.com", "subject": "s", "text": "t", "attachments": [{"name": "a", "base64": "%"}]},
        "base64_invalid",
        r"^attachments\[0\]",
    ),
    "an address": ("email.send", {"to": ["a@example.com", "b"], "subject": "s", "text": "t"}, "address_invalid", r"^to\[1\]"),
    "a parameter that is missing": (
        "sql.query",
        {"database": SHOP, "statement": "SELECT :a", "parameters": {"b": 1}},
        "sql_parameters",
        ":a",
    ),
    "a value that breaks a rule": (
        "sql.execute",
        {"database": SHOP, "statement": "INSERT INTO orders (id) VALUES (?)", "parameters": [9]},
        "sql_constraint",
        r"orders\.customer",
    ),
}


def list_all(folder: Path) -> list[str]:
    """Every file and folder, but the empty folders of the object store."""
    found = (path for path in folder.rglob("*") if path.is_file() or (folder / "files") not in path.parents)
    return sorted(str(path.relative_to(folder)) for path in found)


async def check(case: Case, folder: Path) -> None:
    name, parameters, code, place = case
    operation = REGISTRY.get(name)
    async with open_world(operation, folder) as attempts:
        before = list_all(folder)
        with pytest.raises(AttemptError) as caught:
            await attempts.call(operation, parameters)
        error = caught.value
        assert (error.code, isinstance(error, FatalError)) == (code, True), error.message
        assert code in {known.code for known in operation.errors}
        assert re.search(place, error.message), error.message
        assert list_all(folder) == before


@pytest.mark.parametrize("case", NUMBERS.values(), ids=NUMBERS)
async def test_a_number_beyond_64_bits_is_told_with_its_place(case: Case, tmp_path: Path):
    await check(case, tmp_path)


@pytest.mark.parametrize("case", DAYS.values(), ids=DAYS)
async def test_a_day_or_hour_that_does_not_exist_is_told_with_its_place(case: Case, tmp_path: Path):
    await check(case, tmp_path)


@pytest.mark.parametrize("case", TEXTS.values(), ids=TEXTS)
async def test_a_text_that_is_broken_is_told_with_its_place(case: Case, tmp_path: Path):
    await check(case, tmp_path)


LATIN = "a,b\n1,ä\n".encode("latin-1")
OUT: JsonObject = {"to": "csv"}
FILES: Mapping[str, tuple[str, bytes, JsonObject, str, str]] = {
    "CSV to JSON": ("data.convert", LATIN, {"from": "csv", "to": "json"}, "encoding", "2"),
    "NDJSON to CSV": ("data.convert", b'{"a":1}\n{"a":"\xe4"}\n', {"from": "ndjson", **OUT}, "encoding|json_invalid", "2"),
    "JSON to CSV": ("data.convert", b'[{"a":1},\n{"a":"\xe4"}]', {"from": "json", **OUT}, "encoding|json_invalid", "item 1|2"),
    "JSON to YAML": ("data.convert", b'{"a":1,\n"b":"\xe4"}', {"from": "json", "to": "yaml"}, "encoding|json_invalid", "2"),
    "YAML to JSON": ("data.convert", b"a: 1\nb: \xe4\n", {"from": "yaml", "to": "json"}, "encoding|yaml_invalid", "2"),
    "XML to JSON": ("data.convert", b"<a>\n<b>\xe4</b></a>", {"from": "xml", "to": "json"}, "encoding|xml_invalid", "2"),
    "xlsx to CSV": ("data.convert", b"PK\3\4 no workbook", {"from": "xlsx", **OUT}, "xlsx_invalid", "workbook"),
    "numbers in NDJSON": ("data.convert", f'{{"a":1}}\n{{"a":{BEYOND}}}\n'.encode(), {"from": "ndjson", **OUT}, "number_range", "2"),
    "numbers in JSON": ("data.convert", f'[{{"a":1}},\n{{"a":{BEYOND}}}]'.encode(), {"from": "json", **OUT}, "number_range", "item 1"),
    "to be sorted": ("data.sort", LATIN, {"from": "csv", "by": "a"}, "encoding", "2"),
    "to be grouped": ("data.group", LATIN, {"from": "csv", "by": "a", "measures": {"n": {"function": "count"}}}, "encoding", "2"),
    "to be added up": ("data.aggregate", LATIN, {"from": "csv", "measures": {"n": {"function": "count"}}}, "encoding", "2"),
    "to be filtered": ("data.filter", LATIN, {"from": "csv", "where": [{"field": "a", "value": "1"}]}, "encoding", "2"),
    "to be mapped": ("data.map", LATIN, {"from": "csv", "expression": "item.a"}, "encoding", "2"),
    "to be cut in pieces": ("data.chunk", LATIN, {"from": "csv", "size": 1}, "encoding", "2"),
    "to be joined": ("data.join", LATIN, {"from": "csv", "right": [{"a": "1"}], "on": "a"}, "encoding", "2"),
    "to be pivoted": (
        "data.pivot",
        LATIN,
        {"from": "csv", "rows": "a", "columns": "b", "measure": {"function": "count"}},
        "encoding",
        "2",
    ),
    "to be queried": ("data.query", b'{"a":"\xe4"}', {"from": "json", "query": "a"}, "encoding|json_invalid", "."),
    "to be validated": ("data.validate", LATIN, {"from": "csv", "schema": {}, "each": True}, "encoding", "2"),
    "a template": ("text.template", b"a\n\xe4", {"data": {}}, "template_invalid", "UTF-8"),
    "no gzip": ("file.gunzip", b"plain", {"to": "out"}, "zip_unsupported", "."),
    "a gzip that is cut": ("file.gunzip", gzip.compress(b"x" * 9_999)[:-9], {"to": "out"}, "zip_corrupt", "."),
    "no zip": ("file.unzip", b"plain", {"to": "out"}, "zip_unsupported", "."),
}  # fmt: skip


@pytest.mark.parametrize(("name", "data", "parameters", "code", "place"), FILES.values(), ids=FILES)
async def test_a_file_that_is_broken_is_told_with_its_line_and_leaves_no_file(
    name: str, data: bytes, parameters: JsonObject, code: str, place: str, tmp_path: Path
):
    operation = REGISTRY.get(name)
    async with open_world(operation, tmp_path) as attempts:
        store = attempts.services[ObjectStore]
        assert isinstance(store, ObjectStore)
        value = store.put(data, name="broken", media_type="application/octet-stream").to_json()
        before = list_all(tmp_path)
        with pytest.raises(AttemptError) as caught:
            await attempts.call(operation, {**parameters, "file": value})
        error = caught.value
        assert re.fullmatch(code, error.code), (error.code, error.message)
        assert isinstance(error, FatalError)
        assert error.code in {known.code for known in operation.errors}
        assert re.search(place, error.message), error.message
        assert list_all(tmp_path) == before


def make_zip(entries: list[tuple[str, bytes]]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return target.getvalue()


async def test_a20_a_bomb_in_the_middle_of_an_archive_leaves_nothing_of_what_came_before(tmp_path: Path):
    operation = REGISTRY.get("file.unzip")
    bomb = make_zip([("good.txt", b"good"), ("bomb", b"\0" * 2**27)])
    async with open_world(operation, tmp_path) as attempts:
        (tmp_path / "work" / "in.zip").write_bytes(bomb)
        before = list_all(tmp_path)
        with pytest.raises(FatalError) as caught:
            await attempts.call(operation, {"path": "in.zip", "to": "out"})
        assert caught.value.code == "zip_ratio"
        assert list_all(tmp_path) == before
