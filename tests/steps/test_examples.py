"""Every example of every operation is run, and gives what it says."""

import os
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trustme
from tests.support.attempts import Attempts, make_services
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.servers import EffectServer, Reply, serve_http

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
LAST_CHANGE_S = 1_767_323_045  # 2026-01-02T03:04:05Z


@pytest.fixture
async def attempts(tmp_path: Path) -> AsyncGenerator[Attempts]:
    """The world that the examples speak of: a shop's server, and files in `work`."""
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example.com").configure_cert(server_context)  # pyright: ignore[reportUnknownMemberType] - stubs name an optional package
    trust = ssl.create_default_context()
    authority.configure_trust(trust)  # pyright: ignore[reportUnknownMemberType] - as above
    async with serve_http(server_context) as server:
        _stock(server)
        world = World(ports={443: server.port})
        world.names.set("api.example.com", [PUBLIC_ADDRESS])
        client = world.make_client(tls=trust)
        services = make_services(tmp_path, client)
        _write_files(tmp_path / "work")
        yield Attempts(services)
        await client.aclose()


def _stock(server: EffectServer) -> None:
    order = Reply(headers=(("Content-Type", "application/json"),), body=b'{"id":42, "status":"shipped"}')
    server.on("/orders/42", order)
    server.on("/orders", Reply(201, (("Content-Type", "text/plain"),), b"created"))


def _write_files(root: Path) -> None:
    for path, text in {"greetings/hello.txt": "Hello", "orders/42.json": '{"id":42}', "orders/notes.txt": "x"}.items():
        file = root / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        os.utime(file, (LAST_CHANGE_S, LAST_CHANGE_S))


@pytest.mark.parametrize(("operation", "example"), EXAMPLES)
async def test_the_example_gives_what_it_says(operation: Operation, example: Example, attempts: Attempts):
    assert await attempts.call(operation, example.parameters) == example.result


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
    assert page.startswith(f"## {operation.name}\n")
    for name in properties:
        assert f"| `{name}` |" in page
    for error in operation.errors:
        assert f"| `{error.code}` |" in page
    assert described["secret_parameters"] == sorted(operation.secret_parameters)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_parameter_is_refused_by_name(operation: Operation):
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(operation, {"no_such_parameter": 1})
    assert "no_such_parameter" in {fault.field for fault in caught.value.faults}


def test_a_secret_can_never_stand_in_an_expression_function():
    assert [operation.name for operation in REGISTRY if operation.is_pure and operation.secret_parameters] == []
