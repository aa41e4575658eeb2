"""The client."""

from types import TracebackType
from typing import Self

from httpx2 import AsyncClient as AsyncHttp

from flowforge_client._async.files import AsyncFiles
from flowforge_client._async.resources import AsyncCatalog, AsyncSecrets, AsyncTriggers, AsyncVariables, AsyncWorkflows
from flowforge_client._async.runs import AsyncRuns
from flowforge_client._async.transport import Access, AsyncTransport
from flowforge_client._generated.async_operations import AsyncOperations


class AsyncClient:
    """The asynchronous client of one server.

    `url` is the server's address, `key` an API key or an access token, `workspace` its name or id (else the key's own). `http` may be a
    client of yours, with proxies and certificates as you need them; it is closed with this one.
    """

    def __init__(self, url: str, *, key: str | None = None, workspace: str | None = None, http: AsyncHttp | None = None) -> None:
        self._transport = AsyncTransport(Access(url, key, workspace), http)
        self.api = AsyncOperations(self._transport)
        self.runs = AsyncRuns(self._transport, self.api)
        self.workflows = AsyncWorkflows(self.api)
        self.triggers = AsyncTriggers(self.api)
        self.secrets = AsyncSecrets(self.api)
        self.variables = AsyncVariables(self.api)
        self.operations = AsyncCatalog(self.api)
        self.files = AsyncFiles(self.api)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()
