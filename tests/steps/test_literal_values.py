"""A02: a value that looks like an expression, a template or a formula is data; no operation reads it as anything else."""

import email
import email.policy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.attempts import Attempts, make_services
from tests.support.clock import ManualClock
from tests.support.network import World
from tests.support.worlds import open_world

from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Nature
from flowforge.operations.calling import call_pure
from flowforge.steps import load_registry

REGISTRY = load_registry()
EVIL = (
    "=1+1", "{{ 7 * 7 }}", "{% for x in y %}", "${7*7}", "${{ secrets.API }}", "${{ run.id }}", "%%WM_SECRET%%", "%(name)s", "{0}", "$1",
    "\\1", "$eval('1')", "@SUM(A1)", "__proto__", "<%= 1 %>", "#{1}", "{{", "}}", "${{", "%%", "=",
)  # fmt: skip
STARTS = ("=", "{{", "${", "${{", "%%", "{", "$", "@", "\\")
RESTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
TEXTS: st.SearchStrategy[str] = st.tuples(st.sampled_from((*EVIL, *STARTS)), RESTS).map("".join)

Call = tuple[JsonObject, JsonValue]
"""Parameters and the result that they must give."""


def row(text: str) -> JsonObject:
    return {"id": 1, "name": text}


PURE: Mapping[str, Callable[[str], Call]] = {
    "crypto.hash": lambda text: ({"data": text}, call_pure(REGISTRY.get("crypto.hash"), {"data": text})),
    "data.aggregate": lambda text: ({"data": [text], "measures": {"m": {"function": "first", "field": ""}}}, {"m": text}),
    "data.chunk": lambda text: ({"data": [text], "size": 1}, [[text]]),
    "data.convert": lambda text: ({"data": [row(text)], "to": "json"}, None),
    "data.diff": lambda text: (
        {"before": {"a": 0}, "after": {"a": text}},
        [{"op": "replace", "path": "/a", "value": text}],
    ),
    "data.filter": lambda text: ({"data": [row(text), row("x")], "where": [{"field": "name", "value": text}]}, [row(text)]),
    "data.flatten": lambda text: ({"data": {"a": {"b": text}}}, {"a.b": text}),
    "data.group": lambda text: ({"data": [row(text)], "by": "name"}, [{"name": text, "items": [row(text)]}]),
    "data.join": lambda text: (
        {"data": [row(text)], "right": [{"name": text, "n": text}], "on": "name"},
        [{**row(text), "n": text}],
    ),
    "data.map": lambda text: (
        {"data": [row(text)], "expression": "item.name + values.v", "values": {"v": text}},
        [text + text],
    ),
    "data.merge": lambda text: ({"data": [{"a": 1}, {"a": text}]}, {"a": text}),
    "data.omit": lambda text: ({"data": [row(text)], "fields": ["id"]}, [{"name": text}]),
    "data.patch": lambda text: ({"data": {}, "patch": [{"op": "add", "path": "/a", "value": text}]}, {"a": text}),
    "data.pick": lambda text: ({"data": [row(text)], "fields": ["name"]}, [{"name": text}]),
    "data.pivot": lambda text: (
        {"data": [row(text)], "rows": "id", "columns": "id", "measure": {"function": "first", "field": "name"}},
        [{"id": 1, "1": text}],
    ),
    "data.query": lambda text: ({"data": {"a": text}, "query": "a"}, text),
    "data.rename": lambda text: ({"data": [row(text)], "fields": {"name": "title"}}, [{"id": 1, "title": text}]),
    "data.sample": lambda text: ({"data": [text], "count": 1, "seed": 1}, [text]),
    "data.sort": lambda text: ({"data": [text, ""]}, ["", text]),
    "data.unflatten": lambda text: ({"data": {"a.b": text}}, {"a": {"b": text}}),
    "data.unique": lambda text: ({"data": [text, text]}, [text]),
    "data.unpivot": lambda text: ({"data": [row(text)], "keep": ["id"]}, [{"id": 1, "name": "name", "value": text}]),
    "data.validate": lambda text: ({"data": text, "schema": {"const": text}}, {"is_valid": True, "checked": 1, "invalid": 0, "errors": []}),
    "text.regex": lambda text: (
        {"data": "a-b", "pattern": "-", "action": "split"},
        ["a", "b"],
    ),
    "text.split": lambda text: ({"data": f"a\n{text}\nb", "by": "lines", "trim": False}, ["a", text, "b"]),
    "text.similarity": lambda text: ({"data": text, "to": text}, {"similarity": 1.0, "best": None, "index": None}),
}  # fmt: skip
OTHERS = {
    # What these make of a text is held by their own tests; none of them gives the text back.
    "crypto.decode", "crypto.encode", "email.parse", "text.case", "text.slug",
    "time.add", "time.between", "time.business_days", "time.convert", "time.format", "time.parse", "time.parts",
}  # fmt: skip


@pytest.mark.parametrize("name", PURE)
@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_a02_a_value_stays_what_it_is(name: str, text: str):
    parameters, expected = PURE[name](text)
    made = call_pure(REGISTRY.get(name), parameters)
    if name == "data.convert":
        made, expected = call_pure(REGISTRY.get(name), {"data": made, "from": "json"}), [row(text)]
    assert made == expected


@given(TEXTS)
def test_a02_what_goes_through_a_format_comes_back(text: str):
    convert = REGISTRY.get("data.convert")
    for to in ("json", "yaml", "ndjson", "xml"):
        value: JsonValue = {"root": {"name": f"a{text}z"}} if to == "xml" else [row(text)]
        written = call_pure(convert, {"data": value, "to": to})
        assert call_pure(convert, {"data": written, "from": to}) == value, to


def test_a02_each_pure_operation_is_held_to_it():
    pure = {operation.name for operation in REGISTRY if operation.nature is Nature.PURE}
    assert pure == {*PURE, *OTHERS}


@pytest.mark.parametrize("text", EVIL)
async def test_a02_a_template_and_a_script_take_values_as_they_are(text: str, tmp_path: Path):
    template, javascript, jsonata = (REGISTRY.get(name) for name in ("text.template", "script.javascript", "data.jsonata"))
    attempts = Attempts(make_services(tmp_path))
    given_: JsonObject = {"template": "[{{ name }}]", "data": {"name": text}}
    assert await attempts.call(template, given_) == f"[{text}]"
    async with open_world(jsonata, tmp_path) as attempts:
        assert await attempts.call(javascript, {"source": "return { a: input }", "input": text}) == {"a": text}
        assert await attempts.call(jsonata, {"data": {"a": text}, "query": "a"}) == text


@pytest.mark.parametrize("text", EVIL)
async def test_a02_a_mail_and_the_log_say_what_they_were_given(text: str, tmp_path: Path):
    client = World().make_client()
    mailer = Mailer(None, None, tmp_path / "mail", client, ManualClock())
    attempts = Attempts({**make_services(tmp_path, client), Mailer: mailer})
    mail: JsonObject = {
        "to": "a@example.com",
        "from": "b@example.com",
        "subject": text,
        "text": text,
        "html": f"<p>{text}</p>",
        "attachments": [{"name": "a.txt", "text": text}],
        "headers": {"X-Note": text},
    }
    await attempts.call(REGISTRY.get("email.send"), mail)
    await attempts.call(REGISTRY.get("log.write"), {"message": text, "fields": {"a": text}})
    await client.aclose()
    (file,) = (tmp_path / "mail").glob("*.eml")
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (message["Subject"], message["X-Note"]) == (text, text)
    assert [part.get_content().rstrip("\r\n") for part in message.walk() if not part.is_multipart()] == [
        text, f"<p>{text}</p>", text,
    ]  # fmt: skip
    assert attempts.log == [("info", text, {"a": text})]


@pytest.mark.parametrize("text", EVIL)
async def test_a02_a_file_and_a_database_keep_what_they_were_given(text: str, tmp_path: Path):
    query, write = REGISTRY.get("sql.query"), REGISTRY.get("file.write")
    async with open_world(query, tmp_path) as attempts:
        statement: JsonObject = {"database": "sqlite://data/shop.db", "statement": "SELECT ? AS a", "parameters": [text]}
        output = await attempts.call(query, statement)
        assert isinstance(output, dict)
        assert output["rows"] == [{"a": text}]
        await attempts.call(write, {"root": "data", "path": "a.txt", "text": text})
    assert (tmp_path / "work" / "a.txt").read_text() == text
