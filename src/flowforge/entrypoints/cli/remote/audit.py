"""`flowforge audit` on a server."""

from pathlib import Path
from typing import cast

from flowforge.entrypoints.cli.arguments import write_file
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.commands.audit import CHECKPOINT_COLUMNS, ROW_COLUMNS
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.values import JsonObject


def list_(
    server: Server, *, limit: int, action: str | None, entity: str | None, entity_id: str | None, actor: str | None
) -> None:
    exact = {"entity": entity, "entity_id": entity_id, "actor": actor}
    where = [f"{name}:eq:{value}" for name, value in exact.items() if value is not None]
    if action is not None:
        where.append(f"action:{'starts_with' if action.endswith('.') else 'eq'}:{action}")
    rows, _ = server.list_some("/audit", {"where": where}, limit=limit)
    server.output.write_rows(rows, ROW_COLUMNS, empty="Nothing was done yet.")


def show(server: Server, no: int) -> None:
    server.output.write_object(server.get(make_path("audit", str(no))))


def checkpoints(server: Server, *, limit: int) -> None:
    rows, _ = server.list_some("/audit/checkpoints", limit=limit)
    server.output.write_rows(rows, CHECKPOINT_COLUMNS, empty="There is no checkpoint yet; a server makes one each hour.")


def export(server: Server, file: Path, *, is_table: bool) -> None:
    if file.exists():
        raise UsageError(f"{file} is there already; name another file.")
    data = server.send("GET", "/audit/export", query={"format": "csv" if is_table else "jsonl"}).content
    write_file(file, data)
    server.output.confirm(f"{file} holds the log.", {"file": str(file), "size_bytes": len(data)})


def verify(server: Server, file: Path | None, *, key: str | None) -> None:
    del file
    if key is not None:
        raise UsageError("--key goes with a file; the server has its own keys.")
    told = cast("JsonObject", server.ask("POST", "/audit/verify"))
    if told["valid"]:
        server.output.confirm(f"Sound: {told['checked']} rows.", told)
        return
    server.output.confirm(f"NOT what was written: row {told['first_bad']}. The {told['checked']} rows before are sound.", told)
    raise CommandFailedError(ExitCode.FAILED)
