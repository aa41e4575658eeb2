"""The world that the examples of `http.` operations speak of: a shop's server, and files in `work`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.support.attempts import Attempts
from tests.support.http_servers import TusServer, open_hosts
from tests.support.servers import EffectServer, Received, Reply

_JSON: Final = (("Content-Type", "application/json"),)


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[Attempts]:
    """Attempts that can call `api.example.com` over TLS."""
    async with open_hosts(folder, "api.example.com") as (server, attempts):
        _stock(server)
        hello = folder / "work/greetings/hello.txt"
        hello.parent.mkdir()
        hello.write_text("Hello")
        yield attempts


def _stock(server: EffectServer) -> None:
    server.on("/orders/42", Reply(headers=_JSON, body=b'{"id":42, "status":"shipped"}'))
    server.on("/orders", Reply(201, (("Content-Type", "text/plain"),), b"created"))
    server.on("/customers", _give_customers)
    server.on("/prices", Reply(304, (("ETag", '"v7"'),)))
    server.on("/oauth/token", Reply(headers=_JSON, body=b'{"access_token":"a-token","token_type":"Bearer","expires_in":3600}'))
    server.on("/documents", _count_parts)
    report = (("Content-Type", "application/pdf"), ("Content-Disposition", 'attachment; filename="January.pdf"'))
    server.on("/reports/2026-01.pdf", Reply(headers=report, body=b"%PDF-1.7"))
    server.on("/exports/stock.csv", Reply(headers=(("Content-Type", "text/csv"), ("ETag", '"s1"')), body=b"sku,count\nA-1,12\n"))
    server.on("/backups/hello.txt", lambda request: Reply(201, _JSON, b'{"received":%d}' % len(request.body)))
    TusServer().mount(server)


def _give_customers(request: Received) -> Reply:
    if request.target.endswith("?after=c2"):
        return Reply(headers=_JSON, body=b'{"data":[{"id":3}],"next":null}')
    return Reply(headers=_JSON, body=b'{"data":[{"id":1},{"id":2}],"next":"c2"}')


def _count_parts(request: Received) -> Reply:
    if request.headers["authorization"] != "Bearer a-token":
        return Reply(401)
    return Reply(headers=_JSON, body=b'{"received": %d}' % request.body.count(b"Content-Disposition: form-data"))
