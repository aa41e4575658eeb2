"""Writes what the Python client has from the OpenAPI document: types, a method for each route, and the synchronous twin.

`python scripts/client_models.py` writes what is not current. The synchronous classes are made from the asynchronous ones, word by word,
so that there is one source of both.
"""

import keyword
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import orjson

REPOSITORY: Final = Path(__file__).parents[1]

if __name__ == "__main__":
    # Started as a script, Python finds the folder of the script but not the repository.
    sys.path.insert(0, str(REPOSITORY))

from scripts.openapi_document import render_openapi  # noqa: E402

PACKAGE: Final = Path("clients/python/src/flowforge_client")
MADE: Final = "_generated"
TWINS: Final = ("transport", "client", "runs", "resources", "streams", "pages", "files")
"""The modules of `_async` that have a synchronous twin, which `_generated/sync_*.py` holds."""

Json = dict[str, Any]

_HEAD: Final = '"""{about}\n\nMade by scripts/client_models.py; do not edit.\n"""\n\n'
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_PLAIN: Final[Mapping[str, str]] = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_PLAIN_RESULTS: Final = frozenset({"JsonValue", "str", "bytes"})
"""What the transport gives as it is, without a cast."""
_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (r"\basync def\b", "def"),
    (r"\basync (with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\b__aiter__\b", "__iter__"),
    (r"\baclose\b", "close"),
    (r"\baiter_lines\b", "iter_lines"),
    (r"\baread\b", "read"),
    (r"\bAwaitable\[([^\[\]]+)\]", r"\1"),
    (r"\bsleep_async\b", "sleep"),
    (r"\bAsyncGenerator\[([^\[\]]+)\]", r"Generator[\1]"),
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"flowforge_client\._async\.(\w+)", r"flowforge_client._generated.sync_\1"),
    (r"flowforge_client\._generated\.async_operations", "flowforge_client._generated.sync_operations"),
    (r"\basynchronous\b", "synchronous"),
)


def render_client() -> dict[Path, str]:
    """Every generated file of the client, by its path in the repository."""
    document: Json = orjson.loads(render_openapi())
    schemas: Json = document["components"]["schemas"]
    namer = Namer(schemas)
    operations = "".join(_write_operations(document, namer))
    files = {
        "__init__.py": _HEAD.format(about="What is made from the OpenAPI document of the server.").rstrip() + "\n",
        "models.py": "".join(_write_models(schemas, namer)),
        "async_operations.py": operations,
        "sync_operations.py": make_sync(operations),
    }
    for name in TWINS:
        source = (REPOSITORY / PACKAGE / "_async" / f"{name}.py").read_text("utf-8")
        files[f"sync_{name}.py"] = "# Made by scripts/client_models.py from the asynchronous twin; do not edit.\n" + make_sync(
            source
        )
    return {PACKAGE / MADE / name: _format(text, name) for name, text in files.items()}


def make_sync(source: str) -> str:
    """The synchronous twin of an asynchronous module."""
    for pattern, word in _WORDS:
        source = re.sub(pattern, word, source)
    return source


def list_outdated(rendered: Mapping[Path, str]) -> list[Path]:
    """The files whose text on disk is another, and those that are made no more."""
    there = {path.relative_to(REPOSITORY) for path in (REPOSITORY / PACKAGE / MADE).glob("*.py")}
    return sorted({path for path, text in rendered.items() if _read(path) != text} | (there - set(rendered)))


def write_client() -> list[Path]:
    """Writes every outdated file; returns which."""
    rendered = render_client()
    outdated = list_outdated(rendered)
    for path in outdated:
        target = REPOSITORY / path
        if path in rendered:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(rendered[path], "utf-8")
        else:
            target.unlink()
    return outdated


class Namer:
    """Short names for the document's types; two that would get the same are told apart by the module that they come from."""

    def __init__(self, schemas: Json) -> None:
        self._names: dict[str, str] = {}
        plain = {key: _make_class(key.rsplit("__", 1)[-1]) for key in schemas if "Page_" not in key}
        taken = list(plain.values())
        for key, name in plain.items():
            self._names[key] = name if taken.count(name) == 1 else _make_camel(key.rsplit("__", 2)[-2]) + name
        for key in schemas:
            if key not in self._names:
                items = schemas[key]["properties"]["data"]["items"]["$ref"].rsplit("/", 1)[-1]
                self._names[key] = self._names[items].removesuffix("Row") + "Page"
        if len(set(self._names.values())) != len(self._names):
            raise ValueError("Two types of the document would get the same name.")

    def name(self, reference: str) -> str:
        return self._names[reference.rsplit("/", 1)[-1]]

    def write_type(self, schema: Json, prefix: str = "") -> str:
        """The Python type of values of a schema. `prefix` stands before the names of models."""
        if "$ref" in schema:
            return prefix + self.name(schema["$ref"])
        if "anyOf" in schema:
            return " | ".join(dict.fromkeys(self.write_type(choice, prefix) for choice in schema["anyOf"]))
        if "enum" in schema or "const" in schema:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            return "Literal[" + ", ".join(repr(value) for value in values) + "]"
        kind = schema.get("type")
        if kind == "array":
            return f"list[{self.write_type(schema.get('items', {}), prefix)}]"
        if kind == "object":
            extra = schema.get("additionalProperties")
            inner = self.write_type(cast("Json", extra), prefix) if isinstance(extra, dict) else "JsonValue"
            return f"dict[str, {inner}]"
        return _PLAIN.get(str(kind), "JsonValue")


def _write_models(schemas: Json, namer: Namer) -> Iterator[str]:
    yield _HEAD.format(about="The types of requests and answers. A server may answer with more fields than stand here.")
    yield "from __future__ import annotations\n\nfrom typing import Literal, NotRequired, TypeAlias, TypedDict\n\n"
    yield "from flowforge_client.values import JsonValue\n\n"
    for key in sorted(schemas, key=namer.name):
        yield from _write_model(namer.name(key), schemas[key], namer)


def _write_model(name: str, schema: Json, namer: Namer) -> Iterator[str]:
    fields: Json = schema.get("properties", {})
    if schema.get("type") != "object" or not fields:
        yield f'{name}: TypeAlias = "{namer.write_type(schema)}"\n\n'
        return
    required = set(schema.get("required", ()))
    types = {field: namer.write_type(inner) for field, inner in fields.items()}
    types = {field: text if field in required else f"NotRequired[{text}]" for field, text in types.items()}
    about = _write_docstring(schema.get("description", ""), "    ")
    if all(field.isidentifier() and not keyword.iskeyword(field) for field in fields):
        yield f"class {name}(TypedDict):\n{about}"
        for field, text in types.items():
            yield f"    {field}: {text}\n" + _write_docstring(fields[field].get("description", ""), "    ")
        yield "\n\n"
        return
    # A field's name is a word of Python.
    pairs = ", ".join(f"{field!r}: {text!r}" for field, text in types.items())
    yield f"{name} = TypedDict({name!r}, {{{pairs}}})\n" + _write_docstring(schema.get("description", ""), "") + "\n"


def _write_operations(document: Json, namer: Namer) -> Iterator[str]:
    yield _HEAD.format(about="A method for each route of the API: `client.api.<operation id>(...)`.")
    yield "from __future__ import annotations\n\nfrom typing import Literal, cast\n\n"
    yield "from flowforge_client._async.transport import AsyncTransport\n"
    yield "from flowforge_client._generated import models\nfrom flowforge_client.paths import make_path\n"
    yield "from flowforge_client.values import FormFile, JsonValue\n\n\n"
    yield 'class AsyncOperations:\n    """What the server can do, route by route."""\n\n'
    yield "    def __init__(self, transport: AsyncTransport) -> None:\n        self._transport = transport\n\n"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield from _write_operation(path, method, operation, namer)


def _write_operation(path: str, method: str, operation: Json, namer: Namer) -> Iterator[str]:
    given = operation.get("parameters", [])
    inside = [each for each in given if each["in"] == "path"]
    around = [each for each in given if each["in"] in {"query", "header"}]
    signature = ["self", *(f"{_make_name(each['name'])}: str" for each in inside)]
    body, sent = _describe_body(operation.get("requestBody"), namer)
    signature += body
    if around:
        signature.append("*")
        signature += [_write_parameter(each, namer) for each in sorted(around, key=lambda each: not each.get("required"))]
    result, read = _describe_answer(operation, namer)
    yield f"    async def {operation['operationId']}({', '.join(signature)}) -> {result}:\n"
    yield _write_docstring(operation.get("description") or operation.get("summary", ""), "        ")
    known = ", ".join(f"{each['name']}={_make_name(each['name'])}" for each in inside)
    call = [repr(method.upper()), f"make_path({path!r}, {known})" if known else repr(path)]
    for place, option in (("query", "query"), ("header", "headers")):
        pairs = ", ".join(f"{each['name']!r}: {_make_name(each['name'])}" for each in around if each["in"] == place)
        call += [f"{option}={{{pairs}}}"] if pairs else []
    sending = f"await self._transport.{read}({', '.join([*call, *sent])})"
    if result == "None":
        yield f"        {sending}\n\n"
    else:
        yield f"        return {sending}\n\n" if result in _PLAIN_RESULTS else f"        return cast({result!r}, {sending})\n\n"


def _write_parameter(parameter: Json, namer: Namer) -> str:
    text = namer.write_type(parameter["schema"], "models.")
    if parameter.get("required"):
        return f"{_make_name(parameter['name'])}: {text}"
    return (
        f"{_make_name(parameter['name'])}: {text} = None"
        if text.endswith("None")
        else (f"{_make_name(parameter['name'])}: {text} | None = None")
    )


def _describe_body(described: Json | None, namer: Namer) -> tuple[list[str], list[str]]:
    """The parameter of a body, and how it is sent."""
    if described is None:
        return [], []
    content: Json = described["content"]
    for media_type, inner in content.items():
        if media_type == "application/json":
            schema = inner.get("schema", {})
            text = "JsonValue" if schema.get("type") == "object" else namer.write_type(schema, "models.")
            is_optional = not described.get("required") or text.endswith("None")
            none = "" if not is_optional else " = None" if text.endswith("None") else " | None = None"
            return [f"body: {text}{none}"], ["json=body"]
    if "multipart/form-data" in content:
        return ["file: FormFile"], ["file=file"]
    return ["content: bytes"], ["content=content"]


def _describe_answer(operation: Json, namer: Namer) -> tuple[str, str]:
    """The type of what comes back, and the method of the transport that reads it."""
    good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
    contents = [answer["content"] for answer in good.values() if answer.get("content")]
    schemas = [content["application/json"].get("schema", {}) for content in contents if "application/json" in content]
    if not good or set(good) == {"204"}:
        return "None", "send"
    if schemas and len(contents) == len([status for status in good if status != "204"]):
        return " | ".join(dict.fromkeys(namer.write_type(schema, "models.") for schema in schemas)), "ask"
    if schemas:
        return "JsonValue", "ask"
    if any(media_type.startswith("text/") for content in contents for media_type in content) and len(contents[0]) == 1:
        return "str", "ask_text"
    return "bytes", "ask_bytes"


def _make_name(name: str) -> str:
    made = name.lower().replace("-", "_")
    return f"{made}_" if keyword.iskeyword(made) else made


def _make_class(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _make_camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_")).removesuffix("s")


def _write_docstring(text: str, indent: str) -> str:
    if not text:
        return ""
    lines = text.strip().replace("\\", "\\\\").replace('"""', "'''").splitlines()
    if lines[-1].endswith('"'):
        lines[-1] += " "
    end = '"""\n' if len(lines) == 1 else f'\n{indent}"""\n'
    return f'{indent}"""' + f"\n{indent}".join(lines).rstrip(" \n" if len(lines) > 1 else "\n") + end


def _format(text: str, name: str) -> str:
    command = [sys.executable, "-m", "ruff"]
    tidy = [*command, "check", "--isolated", "--select", "F401,I001", "--fix", "--quiet", "--stdin-filename", name, "-"]
    lines = [*command, "format", "--isolated", "--line-length", "130", "--stdin-filename", name, "-"]
    for step in (tidy, lines):
        text = subprocess.run(step, input=text, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout  # noqa: S603
    return text


def _read(path: Path) -> str | None:
    file = REPOSITORY / path
    return file.read_text("utf-8") if file.exists() else None


if __name__ == "__main__":
    for written in write_client():
        print(written)  # noqa: T201
