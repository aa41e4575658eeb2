"""Every example of every operation is run, and gives what it says."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
from tests.support.worlds import open_world

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Operation
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.operations.reference import describe_operation, render_reference
from flowforge.steps import load_registry

REGISTRY = load_registry()
OPERATIONS = [pytest.param(operation, id=operation.name) for operation in REGISTRY]
EXAMPLES = [
    pytest.param(operation, example, id=f"{operation.name}: {example.title}")
    for operation in REGISTRY
    for example in operation.examples
]


@pytest.mark.parametrize(("operation", "example"), EXAMPLES)
async def test_the_example_gives_what_it_says(operation: Operation, example: Example, tmp_path: Path):
    async with open_world(operation, tmp_path) as attempts:
        result = await attempts.call(operation, example.parameters)
    if example.varies:
        assert describe_shape(result) == describe_shape(example.result)
    else:
        assert result == example.result


def describe_shape(value: JsonValue) -> object:
    """The value's types, down to the last field; a file's facts and a list's length may differ."""
    if isinstance(value, dict):
        return {name: describe_shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [describe_shape(item) for item in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_operation_is_documented_in_full(operation: Operation):
    assert operation.examples, "an operation has at least one example"
    assert operation.description.endswith(".")
    described = describe_operation(operation)
    properties = operation.parameters_schema["properties"]
    assert isinstance(properties, dict)
    for name, field in properties.items():
        assert isinstance(field, dict)
        assert str(field.get("description", "")).endswith("."), f"{name} has no description"
    page = render_reference(operation)
    assert page.startswith(f"**{operation.title}.**")
    for name in properties:
        assert f"| `{name}` |" in page
    for error in operation.errors:
        assert f"| `{error.code}` |" in page
    assert described["secret_parameters"] == sorted(operation.secret_parameters)


@pytest.mark.parametrize(("operation", "example"), EXAMPLES)
def test_schemas_and_models_agree_on_the_example(operation: Operation, example: Example):
    assert jsonschema_rs.is_valid(operation.parameters_schema, example.parameters)
    assert operation.result is None or jsonschema_rs.is_valid(operation.result_schema, example.result)
    parameters = validate_parameters(operation, example.parameters)
    written = parameters.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert validate_parameters(operation, written) == parameters
    assert json.loads(json.dumps(operation.parameters_schema)) == operation.parameters_schema


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_parameter_is_refused_by_name(operation: Operation):
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(operation, {"no_such_parameter": 1})
    assert "no_such_parameter" in {fault.field for fault in caught.value.faults}


def test_a_secret_can_never_stand_in_an_expression_function():
    assert [operation.name for operation in REGISTRY if operation.is_pure and operation.secret_parameters] == []
