"""The world that the examples of `message.` operations speak of: the services behind their usual names."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.attempts import Attempts
from tests.support.http_servers import open_hosts
from tests.support.servers import Reply, json_reply

HOSTS = (
    "api.telegram.org",
    "hooks.slack.com",
    "partner.example.com",
    "prod-1.westeurope.logic.azure.com",
    "slack.com",
    "sms.example.com",
)


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[Attempts]:
    """Attempts that can call all of the hosts over TLS."""
    async with open_hosts(folder, *HOSTS) as (server, attempts):
        server.on("/api/chat.postMessage", json_reply({"ok": True, "channel": "C0ORDERS", "ts": "1767323045.000100"}))
        server.on("/services/T0/B0/x", Reply(body=b"ok"))
        server.on("/workflows/1", Reply(202))
        # The token of the example, as it stands there.
        server.on(
            "/bot%24%7B%7B%20secrets.TELEGRAM_TOKEN%20%7D%7D/sendMessage",
            json_reply({"ok": True, "result": {"message_id": 7, "chat": {"id": 42}}}),
        )
        server.on("/hooks", Reply(204))
        server.on("/2010/Messages", json_reply({"sid": "SM1", "status": "queued"}, 201))
        yield attempts
