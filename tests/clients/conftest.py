from collections.abc import Generator
from typing import Final

import pytest
from tests.support.real_server import RealServer, run_server

from flowforge_client import Client

HELLO: Final = """
flowforge: 1
name: hello
input: {type: object, properties: {who: {type: string}}, required: [who]}
steps:
  - id: greet
    uses: log.write
    with: {message: "hello"}
output: {who: "${{ input.who }}"}
"""
ASKING: Final = """
flowforge: 1
name: asking
steps:
  - id: answer
    uses: flow.wait
    with: {signal: answer}
output: {given: "${{ steps.answer.output }}"}
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RealServer]:
    """One server for all tests, with the workflows `hello` and `asking`."""
    with run_server(tmp_path_factory.mktemp("server") / "data") as running:
        with Client(running.url, key=running.key) as client:
            for name, document in (("hello", HELLO), ("asking", ASKING)):
                client.workflows.create(document)
                client.workflows.publish(name)
        yield running


@pytest.fixture
def client(server: RealServer) -> Generator[Client]:
    with Client(server.url, key=server.key) as client:
        yield client
