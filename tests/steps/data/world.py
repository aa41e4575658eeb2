"""The world that the examples of `data.` operations speak of: files in the object store, under ids that the examples know."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.support.attempts import Attempts, make_services

from flowforge.kit.limits import Limits
from flowforge.kit.sandbox.pool import SandboxPool

FILES: Final = {
    "file_01jz00000000000000000000c5": b"name,pieces\nbolt,12\nnut,7\n",
    "file_01jz00000000000000000000k3": b'{"name":"bolt","pieces":12}\n{"name":"nut","pieces":"seven"}\n',
}


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[Attempts]:
    """Attempts with an object store that holds the files."""
    services = make_services(folder)
    for file_id, data in FILES.items():
        place = folder / "files" / file_id[-2:]
        place.mkdir(exist_ok=True)
        (place / file_id).write_bytes(data)
    pool = SandboxPool(Limits(), size=1)
    services[SandboxPool] = pool
    try:
        yield Attempts(services)
    finally:
        await pool.aclose()
