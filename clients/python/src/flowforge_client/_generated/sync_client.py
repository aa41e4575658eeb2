# Made by scripts/client_models.py from the asynchronous twin; do not edit.
"""The client."""

from types import TracebackType
from typing import Self

from flowforge_client._generated.sync_files import Files
from flowforge_client._generated.sync_operations import Operations
from flowforge_client._generated.sync_resources import (
    Catalog,
    Secrets,
    Triggers,
    Variables,
    Workflows,
)
from flowforge_client._generated.sync_runs import Runs
from flowforge_client._generated.sync_transport import Access, Transport
from httpx2 import Client as Http


class Client:
    """The synchronous client of one server.

    `url` is the server's address, `key` an API key or an access token, `workspace` its name or id (else the key's own). `http` may be a
    client of yours, with proxies and certificates as you need them; it is closed with this one.
    """

    def __init__(self, url: str, *, key: str | None = None, workspace: str | None = None, http: Http | None = None) -> None:
        self._transport = Transport(Access(url, key, workspace), http)
        self.api = Operations(self._transport)
        self.runs = Runs(self._transport, self.api)
        self.workflows = Workflows(self.api)
        self.triggers = Triggers(self.api)
        self.secrets = Secrets(self.api)
        self.variables = Variables(self.api)
        self.operations = Catalog(self.api)
        self.files = Files(self.api)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()
