"""The Python client of FlowForge."""

from flowforge_client._async.client import AsyncClient
from flowforge_client._async.runs import AsyncRun
from flowforge_client._generated.sync_client import Client
from flowforge_client._generated.sync_runs import Run
from flowforge_client.errors import ApiError, ConnectionLostError, FlowForgeError
from flowforge_client.options import StartOptions

__all__ = ["ApiError", "AsyncClient", "AsyncRun", "Client", "ConnectionLostError", "FlowForgeError", "Run", "StartOptions"]
