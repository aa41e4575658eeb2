"""The peer of W3: DBOS behind FastAPI, a workflow of one step, on SQLite, in an environment of its own.

Run as a script by that environment's Python: `python peer_http.py FOLDER`. It prints one JSON object with its port, and serves until its
input ends. `?wait=30s` waits for the end of the workflow, as ours does; without it the start alone is answered.
"""

import asyncio
import importlib
import json
import logging
import socket
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any


def make_sqlite(folder: Path) -> str:
    """A fresh database in the peer's better setting: a WAL, which the file remembers."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "dbos-http.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return f"sqlite:///{database}"


def make_application(url: str) -> Any:
    """The application, with DBOS launched."""
    fastapi, dbos = importlib.import_module("fastapi"), importlib.import_module("dbos").DBOS
    dbos(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "run_admin_server": False})

    async def work() -> None:
        return None

    step = dbos.step(name="work")(work)

    async def one() -> None:
        await step()

    workflow = dbos.workflow(name="one")(one)
    application = fastapi.FastAPI()

    async def start(body: dict[str, Any], wait: str | None = None) -> Any:
        del body
        handle = await dbos.start_workflow_async(workflow)
        if wait is None:
            return fastapi.responses.JSONResponse({"id": handle.workflow_id, "status": "running"}, 202)
        await handle.get_result()
        return {"id": handle.workflow_id, "status": "completed"}

    application.post("/runs")(start)
    dbos.launch()
    return application


def main() -> None:
    logging.disable(logging.ERROR)
    uvicorn = importlib.import_module("uvicorn")
    application = make_application(make_sqlite(Path(sys.argv[1])))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(application, log_config=None, access_log=False, loop="uvloop", http="httptools", lifespan="off")
        server = uvicorn.Server(config)

        def end() -> None:
            sys.stdin.read()
            server.should_exit = True

        threading.Thread(target=end, daemon=True).start()
        print(json.dumps({"port": listener.getsockname()[1], "key": "none"}), flush=True)
        asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
