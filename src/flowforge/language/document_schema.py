"""The JSON Schema of documents, for editors: completion, descriptions and defaults of everything that is installed here."""

from collections.abc import Iterable
from typing import Final

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.catalog import Catalog
from flowforge.language.fields import COMPENSATE, DOCUMENT, STEP, TRIGGER
from flowforge.language.kinds import FLOW_KINDS, OPERATION_MAY, FlowKind, May
from flowforge.language.shapes import Group
from flowforge.language.triggers import TRIGGER_KINDS
from flowforge.operations.definition import Operation

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION_REF: Final[JsonObject] = {"$ref": "#/$defs/expression"}
_EXPRESSION: Final[JsonObject] = {
    "type": "string",
    "pattern": r"\$\{\{",
    "description": "Text that is or holds an expression: ${{ … }}",
}
_NOTES: Final = ("title", "description", "default", "examples", "deprecated")
_MAPS: Final = ("properties", "patternProperties", "$defs", "dependentSchemas")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES: Final = ("items", "additionalProperties", "if", "then", "else", "not", "contains")
_TAKES_VALUES: Final = frozenset({"properties", "patternProperties", "items", "prefixItems", "additionalProperties"})


def document_schema(catalog: Catalog) -> JsonObject:
    """JSON Schema (2020-12) of a workflow document with the parameters of all installed operations.

    Wherever a parameter may be an expression, text with `${{` inside is allowed beside what the operation takes.
    """
    operations = [operation for name in sorted(catalog.names()) if (operation := catalog.find(name)) is not None]
    definitions: JsonObject = {
        "expression": dict(_EXPRESSION),
        "step": _describe_step(operations),
        "trigger": _describe_trigger(),
        "compensation": _describe_compensation(operations),
    }
    definitions.update({_name_definition(operation): _describe_parameters(operation) for operation in operations})
    document = DOCUMENT.schema()
    return {"$schema": _DIALECT, "title": "FlowForge workflow", **_replace_items(document), "$defs": definitions}


def _replace_items(document: JsonObject) -> JsonObject:
    properties = document["properties"]
    if isinstance(properties, dict) and isinstance(properties["triggers"], dict):
        properties["triggers"]["items"] = {"$ref": "#/$defs/trigger"}
    return document


def _name_definition(operation: Operation) -> str:
    return f"operation.{operation.name}"


def _offer(kinds: Iterable[tuple[str, str, str]]) -> JsonObject:
    """A choice in which an editor shows a title and a description for each name."""
    offers: list[JsonValue] = [{"const": name, "title": title, "description": description} for name, title, description in kinds]
    return {"oneOf": offers}


def _describe_step(operations: list[Operation]) -> JsonObject:
    schema = STEP.schema()
    kinds = [(kind.name, kind.title, kind.description) for kind in FLOW_KINDS.values()]
    installed = [(operation.name, operation.title, operation.description) for operation in operations]
    properties = schema["properties"]
    if isinstance(properties, dict):
        properties["uses"] = {**_offer([*kinds, *installed]), "description": _describe(STEP, "uses")}
        properties["compensate"] = {"$ref": "#/$defs/compensation", "description": _describe(STEP, "compensate")}
    rules: list[JsonValue] = [_rule_flow_kind(kind) for kind in FLOW_KINDS.values()]
    return {**schema, "allOf": [*rules, *(_rule_operation(operation, _list_may(operation)) for operation in operations)]}


def _list_may(operation: Operation) -> frozenset[May]:
    """A pure operation takes a queue only in its second form, with a file."""
    return OPERATION_MAY - {May.QUEUE} if operation.is_pure and operation.file_function is None else OPERATION_MAY


def _describe(group: Group, name: str) -> str:
    return next(field.description for field in group.fields if field.name == name)


def _if_uses(name: str, properties: JsonObject, required: list[JsonValue]) -> JsonObject:
    then: JsonObject = {"properties": properties}
    if required:
        then["required"] = required
    return {"if": {"properties": {"uses": {"const": name}}, "required": ["uses"]}, "then": then}


def _forbid(may: frozenset[May]) -> JsonObject:
    return {field.value: False for field in May if field not in may}


def _rule_flow_kind(kind: FlowKind) -> JsonObject:
    required: list[JsonValue] = ["with"] if any(field.is_required for field in kind.parameters.fields) else []
    if kind.is_container:
        required.append("steps")
    return _if_uses(kind.name, {"with": kind.parameters.schema(), **_forbid(kind.may)}, required)


def _rule_operation(operation: Operation, may: frozenset[May]) -> JsonObject:
    required: list[JsonValue] = ["with"] if operation.parameters_schema.get("required") else []
    return _if_uses(operation.name, {"with": {"$ref": f"#/$defs/{_name_definition(operation)}"}, **_forbid(may)}, required)


def _describe_compensation(operations: list[Operation]) -> JsonObject:
    schema = COMPENSATE.schema()
    properties = schema["properties"]
    if isinstance(properties, dict):
        offer = _offer((operation.name, operation.title, operation.description) for operation in operations)
        properties["uses"] = {**offer, "description": _describe(COMPENSATE, "uses")} if operations else properties["uses"]
    rules: list[JsonValue] = [_rule_operation(operation, frozenset(May)) for operation in operations]
    return {**schema, "allOf": rules} if rules else schema


def _describe_trigger() -> JsonObject:
    schema = TRIGGER.schema()
    properties = schema["properties"]
    if isinstance(properties, dict):
        offer = _offer((kind.name, kind.title, kind.description) for kind in TRIGGER_KINDS.values())
        properties["uses"] = {**offer, "description": _describe(TRIGGER, "uses")}
    rules: list[JsonValue] = []
    for kind in TRIGGER_KINDS.values():
        required: list[JsonValue] = ["with"] if any(field.is_required for field in kind.parameters.fields) else []
        rules.append(_if_uses(kind.name, {"with": kind.parameters.schema()}, required))
    return {**schema, "allOf": rules}


def _describe_parameters(operation: Operation) -> JsonObject:
    root = f"#/$defs/{_name_definition(operation)}"
    schema = _allow_expressions(operation.parameters_schema, root)
    return schema if isinstance(schema, dict) else {}


def _allow_expressions(schema: JsonValue, root: str) -> JsonValue:
    """The schema with expressions allowed for every value inside, and its references moved to where it is put."""
    if not isinstance(schema, dict):
        return schema
    result: JsonObject = {}
    for keyword, value in schema.items():
        if keyword == "$ref" and isinstance(value, str):
            result[keyword] = root + value.removeprefix("#")
        elif keyword in _MAPS and isinstance(value, dict):
            result[keyword] = {name: _enter(keyword, inner, root) for name, inner in value.items()}
        elif keyword in _LISTS and isinstance(value, list):
            result[keyword] = [_enter(keyword, inner, root) for inner in value]
        elif keyword in _SINGLES:
            result[keyword] = _enter(keyword, value, root)
        elif keyword != "discriminator":
            result[keyword] = value
    return result


def _enter(keyword: str, schema: JsonValue, root: str) -> JsonValue:
    inner = _allow_expressions(schema, root)
    if keyword not in _TAKES_VALUES or not isinstance(inner, dict) or "const" in inner or _takes_any_text(inner):
        return inner
    notes = {name: inner[name] for name in _NOTES if name in inner}
    rest: JsonObject = {name: value for name, value in inner.items() if name not in notes}
    return {**notes, "anyOf": [rest, dict(_EXPRESSION_REF)]}


def _takes_any_text(schema: JsonObject) -> bool:
    bounds = ("pattern", "format", "enum", "maxLength", "$ref", "anyOf", "oneOf", "allOf", "not", "if")
    types = schema.get("type", "string")
    is_text = types == "string" or (isinstance(types, list) and "string" in types)
    return is_text and not any(bound in schema for bound in bounds)
