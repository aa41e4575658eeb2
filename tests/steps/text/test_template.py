"""Templates and Markdown."""

from pathlib import Path

import pytest
from tests.support.attempts import Attempts, make_services

from flowforge.engine.executor.heavy import HeavyJob, HeavyPool
from flowforge.kit.limits import Limits
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject
from flowforge.operations import AttemptError, FatalError
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.steps.text.markdown import convert_markdown
from flowforge.steps.text.template import fill_template


def ignore_line(_at: int, _level: str, _message: str, _fields: JsonObject) -> None:
    """What an operation logs does not matter here."""


async def fill(template: str, data: JsonObject | None = None, **more: str) -> object:
    return await Attempts({}).call(fill_template, {"template": template, "data": data or {}, **more})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (True, "true"),
        (2**62 + 1, "4611686018427387905"),
        (0.5, "0.5"),
        ("{{ secret }}", "{{ secret }}"),
        ("${{ secrets.API }}", "${{ secrets.API }}"),
        ([1, "a"], '[1,"a"]'),
        ({"a": None}, '{"a":null}'),
    ],
)
async def test_a02_values_are_written_as_the_language_writes_them_and_never_read_as_a_template(value: object, expected: str):
    assert await fill("{{ value }}", {"value": value}) == expected  # type: ignore[dict-item]


async def test_html_is_escaped_where_asked():
    data: JsonObject = {"text": "<script>", "list": ["<"]}
    assert await fill("{{ text }}{{ list }}", data, escape="html") == "&lt;script&gt;[&quot;&lt;&quot;]"
    assert await fill("{{ text|safe }}", data, escape="html") == "<script>"


async def test_missing_name_fails_with_its_line_or_is_empty():
    with pytest.raises(FatalError, match=r"^Line 2 of the template: a name or field is not in") as caught:
        await fill("ok\n{{ order.id.x }}", {"order": {}})
    assert (caught.value.code, caught.value.details) == ("template_failed", {"line": 2})
    assert await fill("[{{ order.id.x }}]", {"order": {}}, missing="empty") == "[]"


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{% if %}", "template_invalid"),
        ("{{ a", "template_invalid"),
        ("{% include 'secret' %}", "template_invalid"),
        ("{% import 'os' as os %}", "template_invalid"),
        ("{{ open('x') }}", "template_invalid"),
        ("{{ 'a'|nope }}", "template_invalid"),
        ("{{ 1 / 0 }}", "template_failed"),
        ("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}", "template_too_long"),
        ("{% for a in range(10000) %}" + "x" * 1_000 + "{% endfor %}", "template_too_long"),
    ],
)
async def test_a01_template_that_cannot_be_is_one_clear_error(template: str, code: str):
    with pytest.raises(FatalError) as caught:
        await fill(template)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__.__mro__",
        "data.__class__.__base__",
        "data.keys.__globals__",
        "data.keys.__self__.__class__.__base__",
        "data|attr('__class__')|attr('x')",
    ],
)
async def test_a01_template_reaches_no_object_of_python(expression: str):
    with pytest.raises(FatalError) as caught:
        await fill("{{ " + expression + " }}", {"data": {"a": 1}})
    assert caught.value.code in {"template_failed", "template_invalid"}


async def test_field_wins_over_a_method_of_that_name():
    assert (
        await fill("{{ order.items }} {% for item in order.items %}{{ item }}{% endfor %}", {"order": {"items": [1, 2]}})
        == "[1,2] 12"
    )


async def test_template_may_lie_in_a_file(tmp_path: Path):
    services = make_services(tmp_path)
    objects = services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    good = objects.put("\ufeffHällo {{ name }}".encode(), name="a.txt", media_type="text/plain").to_json()
    bad = objects.put(b"a\xff", name="b.txt", media_type="text/plain").to_json()
    attempts = Attempts(services)
    assert await attempts.call(fill_template, {"file": good, "data": {"name": "Ada"}}) == "Hällo Ada"
    with pytest.raises(FatalError, match="byte 1"):
        await attempts.call(fill_template, {"file": bad})


@pytest.mark.parametrize(
    "parameters", [{}, {"template": "a", "file": {"$file": {}}}, {"template": "x" * 300_000}, {"template": "a", "data": []}]
)
def test_faulty_parameters_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(fill_template, parameters)


async def test_a20_template_that_doubles_a_text_harms_nothing_else():
    template = "{% set a = 'x' * 1000 %}" + "{% set a = a ~ a %}" * 40 + "{{ a|length }}"
    pool = HeavyPool("flowforge.steps:load_registry", Limits())
    try:
        job = HeavyJob("text.template", {"template": template}, [], "run_1", "a", 1, "k", 0)
        with pytest.raises(AttemptError) as caught:
            await pool.run(job, lambda: None, ignore_line)
        after = await pool.run(
            HeavyJob("text.template", {"template": "{{ 1 + 1 }}"}, [], "run_1", "b", 1, "k", 0), lambda: None, ignore_line
        )
    finally:
        await pool.close()
    assert caught.value.code == "parser_limit"
    assert after == ("done", "2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>\n"),
        (
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>\n",
        ),
        ("~~old~~", "<p><s>old</s></p>\n"),
    ],
)
async def test_a14_markdown_becomes_harmless_html(text: str, expected: str):
    assert await Attempts({}).call(convert_markdown, {"data": text}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<style>a{}</style>",
        "<iframe src=x></iframe>",
        "<svg onload=alert(1)>",
    ],
)
async def test_a14_html_in_markdown_is_kept_only_as_far_as_it_is_harmless(text: str):
    html = str(await Attempts({}).call(convert_markdown, {"data": text, "allow_html": True})).lower()
    for word in ("script", "onerror", "onload", "<style", "<iframe"):
        assert word not in html
