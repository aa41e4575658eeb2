"""The types for editors name what a script finds, all of it and no more."""

import ast
import re

import pytest
from scripts.host_types import render_javascript_types, render_python_types
from tests.kit.sandbox.conftest import Sandbox

from flowforge.kit.sandbox.host import CONSOLE_FUNCTIONS, HTTP_FUNCTIONS, HTTP_OPTIONS, LOG_FUNCTIONS
from flowforge.steps.http.request import request


async def test_the_table_lists_the_functions_that_javascript_has(sandbox: Sandbox):
    found = await sandbox.run("return { http: Object.keys(http), log: Object.keys(log), console: Object.keys(console) }")
    assert isinstance(found, dict)
    listed = [function.name for function in (*HTTP_FUNCTIONS, *LOG_FUNCTIONS, *CONSOLE_FUNCTIONS)]
    there = [
        f"{name}.{function}"
        for name, functions in found.items()
        for function in (functions if isinstance(functions, list) else [])
    ]
    assert sorted(there) == sorted(listed)


async def test_the_table_lists_the_functions_that_python_has(sandbox: Sandbox):
    pytest.importorskip("pydantic_monty", reason="an optional package")
    names = [function.name for function in (*HTTP_FUNCTIONS, *LOG_FUNCTIONS)]
    for name in names:
        assert await sandbox.run(f"{name}\n1", language="python") == 1


def test_the_options_are_parameters_of_http_request():
    known = request.parameters_schema["properties"]
    assert isinstance(known, dict)
    assert {option.name for option in HTTP_OPTIONS} <= known.keys()


def test_the_types_are_complete():
    declared = render_javascript_types()
    for name in ("http", "log", "console", "input", "context"):
        assert re.search(rf"^declare const {name}: ", declared, re.MULTILINE)
    assert declared.count("{") == declared.count("}")
    stubs = ast.parse(render_python_types())
    names = {node.name for node in stubs.body if isinstance(node, ast.ClassDef)}
    assert {"http", "log", "HttpOptions", "HttpResponse", "Context"} <= names
    for function in (*HTTP_FUNCTIONS, *LOG_FUNCTIONS):
        assert f"def {function.name.partition('.')[2]}(" in render_python_types()
