"""The world that the examples of files speak of: orders and greetings in `work`, two of them packed."""

import gzip
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from zipfile import ZipFile

from tests.support.attempts import Attempts, make_services

LAST_CHANGE_S = 1_767_323_045  # 2026-01-02T03:04:05Z


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[Attempts]:
    services = make_services(folder)
    root = folder / "work"
    for path, text in {"greetings/hello.txt": "Hello", "orders/42.json": '{"id":42}', "orders/notes.txt": "x"}.items():
        file = root / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        os.utime(file, (LAST_CHANGE_S, LAST_CHANGE_S))
    (root / "packed").mkdir()
    (root / "packed" / "hello.txt.gz").write_bytes(gzip.compress(b"Hello", mtime=0))
    with ZipFile(root / "packed" / "orders.zip", "w") as archive:
        archive.write(root / "orders" / "42.json", "orders/42.json")
        archive.write(root / "orders" / "notes.txt", "orders/notes.txt")
    yield Attempts(services)
