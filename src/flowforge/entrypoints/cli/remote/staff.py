"""`flowforge queues` and `flowforge workers` on a server."""

from flowforge.cluster.queues import ALIVE
from flowforge.entrypoints.cli.commands import queues as local_queues
from flowforge.entrypoints.cli.commands import workers as local_workers
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.kit.clock import SystemClock
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import parse_timestamp_ms


def queues(server: Server) -> None:
    lines = _list(server, "/system/queues")
    served = {
        name for worker in _list(server, "/system/workers") if worker["state"] == ALIVE for name in _names(worker["queues"])
    }
    rows = [_describe_queue(line, has_worker=not served or line["queue"] in served) for line in lines]
    server.output.write_rows(rows, local_queues.COLUMNS, empty="Nothing waits.")
    unserved = sorted({str(row["queue"]) for row in rows if row["due"] and not row["has_worker"]})
    if unserved and not server.output.is_json:
        server.output.say(f"No living worker serves {', '.join(unserved)}: start one, with --queues in a cluster.")


def _describe_queue(line: JsonObject, *, has_worker: bool) -> JsonObject:
    return line | {"oldest_age_ms": _find_age_ms(line["oldest_at"]), "has_worker": has_worker}


def workers(server: Server, *, is_all: bool) -> None:
    rows = [_describe_worker(line) for line in _list(server, "/system/workers", is_all=is_all)]
    server.output.write_rows(rows, local_workers.COLUMNS, empty="No worker is there.")
    versions = sorted({str(row["version"]) for row in rows if row["state"] == ALIVE and row["version"]})
    if len(versions) > 1 and not server.output.is_json:
        server.output.say(
            f"They are of different versions ({', '.join(versions)}): right while an upgrade rolls, wrong otherwise."
        )


def _describe_worker(line: JsonObject) -> JsonObject:
    return line | {"beat_age_ms": _find_age_ms(line.get("beat_at"))}


def _list(server: Server, path: str, *, is_all: bool = False) -> list[JsonObject]:
    return server.list_rows(path, {"dead": True} if is_all else None)


def _names(queues: JsonValue) -> list[str]:
    return [str(name) for name in queues] if isinstance(queues, list) else []


def _find_age_ms(at: JsonValue) -> int | None:
    return max(0, SystemClock().now_ms() - parse_timestamp_ms(at)) if isinstance(at, str) else None
