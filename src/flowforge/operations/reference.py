"""An operation told to machines (JSON) and to people (Markdown). Both come from the definition alone."""

import re
from collections.abc import Iterator, Sequence
from shlex import quote

import orjson

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.definition import ErrorCode, Example, Nature, Operation

_NATURES = {
    Nature.PURE: "pure: no effect outside, callable in expressions",
    Nature.EFFECT: "effect: planned in the journal before it begins",
    Nature.HEAVY: "heavy: an effect that runs in a process of its own",
}


def describe_operation(operation: Operation) -> JsonObject:
    """Everything about the operation as JSON; `x-flowforge-…` keys that pydantic adds to schemas are kept."""
    return {
        "name": operation.name,
        "version": operation.version,
        "title": operation.title,
        "description": operation.description,
        "category": operation.category,
        "icon": operation.icon,
        "nature": operation.nature.value,
        "ports": [*operation.ports],
        "permission": operation.permission,
        "parameters": operation.parameters_schema,
        "result": operation.result_schema,
        "secret_parameters": [*sorted(operation.secret_parameters)],
        "url_parameters": [*sorted(operation.url_parameters)],
        "errors": [{"code": error.code, "meaning": error.meaning, "retryable": error.retryable} for error in operation.errors],
        "examples": [
            {"title": example.title, "parameters": example.parameters, "result": example.result} for example in operation.examples
        ],
    }


def render_reference(operation: Operation) -> str:
    """The operation's reference page in Markdown, below its title, which has the level 1."""
    with_file = "; with a file it runs as a heavy one" if operation.file_function is not None else ""
    facts = [
        f"`{operation.category}` · {_NATURES[operation.nature]}{with_file} · version {operation.version}",
        *([f"Ports: {', '.join(f'`{port}`' for port in operation.ports)}, `error`."] if operation.ports != ("done",) else []),
    ]
    sections = [
        f"**{operation.title}.** {_join_lines(operation.description)}",
        *facts,
        "## Parameters",
        _render_parameters(operation),
        "## Result",
        _render_result(operation),
        *(["## Errors", _render_errors(operation.errors)] if operation.errors else []),
        *(
            [
                "## Examples",
                *(_render_example(operation, example) for example in operation.examples),
                "From the command line:",
                _render_call(operation, operation.examples[0]),
            ]
            if operation.examples
            else []
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _join_lines(text: str) -> str:
    """Paragraphs stay, line ends inside one go."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def _render_parameters(operation: Operation) -> str:
    rows = list(list_fields(operation.parameters_schema))
    return _render_table(("Parameter", "Type", "Default", "Meaning"), rows) if rows else "None."


def _render_result(operation: Operation) -> str:
    rows = [(name, kind, meaning) for name, kind, _, meaning in list_fields(operation.result_schema)]
    return _render_table(("Field", "Type", "Meaning"), rows) if rows else name_result(operation)


def name_result(operation: Operation) -> str:
    """A sentence about a result that is no object with fields of its own: of which types the examples show it."""
    kinds = dict.fromkeys(_name_kind(example.result) for example in operation.examples)
    return f"The value itself: {' or '.join(kinds)}, as in the examples." if kinds else "Any JSON value."


def _name_kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a file value" if value.keys() == {"$file"} else "an object"


def _render_errors(errors: Sequence[ErrorCode]) -> str:
    rows = [(f"`{error.code}`", "yes" if error.retryable else "no", error.meaning) for error in errors]
    return _render_table(("Code", "Retried", "Meaning"), rows)


def _render_example(operation: Operation, example: Example) -> str:
    call: JsonObject = {"uses": operation.name, "with": example.parameters}
    gives = "gives, for instance," if example.varies else "gives"
    return f"{example.title}:\n\n```json\n{_write_json(call)}\n```\n\n{gives}\n\n```json\n{_write_json(example.result)}\n```"


def _render_call(operation: Operation, example: Example) -> str:
    given = quote(orjson.dumps(example.parameters).decode())
    return f"```sh\nflowforge operations call {operation.name} --input {given}\n```"


def _write_json(value: JsonValue) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _render_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def list_fields(schema: JsonObject) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default (`required` where there is none) and meaning of each field of the schema, in Markdown.

    Fields of objects inside stand below their own, as `csv.header` or `items[].name`.
    """
    yield from _list_fields(schema, schema, "")


def _list_fields(root: JsonObject, schema: JsonObject, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    properties = schema.get("properties")
    required = schema.get("required")
    for name, field in properties.items() if isinstance(properties, dict) else ():
        if not isinstance(field, dict):
            continue
        is_required = isinstance(required, list) and name in required
        default = "required" if is_required else _show_default(field.get("default"))
        secret = " May hold secrets." if field.get("x-flowforge-secret") else ""
        yield f"`{prefix}{name}`", _name_type(root, field), default, f"{field.get('description') or ''}{secret}"
        for inner, suffix in _find_objects(root, field):
            yield from _list_fields(root, inner, f"{prefix}{name}{suffix}.")


def _show_default(default: JsonValue) -> str:
    return "" if default is None else f"`{orjson.dumps(default).decode()}`"


def _resolve(root: JsonObject, schema: JsonObject) -> JsonObject:
    reference = schema.get("$ref")
    definitions = root.get("$defs")
    if not isinstance(reference, str) or not isinstance(definitions, dict):
        return schema
    found = definitions.get(reference.rpartition("/")[2])
    return found if isinstance(found, dict) else schema


def _list_choices(root: JsonObject, schema: JsonObject) -> list[JsonObject]:
    resolved = _resolve(root, schema)
    choices = resolved.get("anyOf") or resolved.get("oneOf")
    if not isinstance(choices, list):
        return [resolved]
    return [inner for choice in choices if isinstance(choice, dict) for inner in _list_choices(root, choice)]


def _find_objects(root: JsonObject, schema: JsonObject) -> Iterator[tuple[JsonObject, str]]:
    for choice in _list_choices(root, schema):
        items, values = choice.get("items"), choice.get("additionalProperties")
        if "properties" in choice:
            yield choice, ""
        elif isinstance(items, dict):
            yield from ((inner, f"[]{suffix}") for inner, suffix in _find_objects(root, items))
        elif isinstance(values, dict):
            yield from ((inner, f".*{suffix}") for inner, suffix in _find_objects(root, values))


def _name_type(root: JsonObject, schema: JsonObject) -> str:
    names = [_name_choice(root, choice) for choice in _list_choices(root, schema)]
    return " or ".join(dict.fromkeys(name for name in names if name != "null" or len(names) == 1))


def _name_choice(root: JsonObject, choice: JsonObject) -> str:
    options, kind, items = choice.get("enum"), choice.get("type"), choice.get("items")
    if isinstance(options, list):
        return ", ".join(f"`{option}`" for option in options)
    if "const" in choice:
        return f"`{choice['const']}`"
    if kind == "array" and isinstance(items, dict):
        return f"list of {_name_type(root, items)}"
    return kind if isinstance(kind, str) else "any"
