"""`flowforge triggers`, on a data folder."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.triggers.hook_lab import SECRET, make_document, open_hook_lab
from typer.testing import CliRunner

from flowforge.entrypoints.cli.app import app


def call(folder: Path, *words: str) -> list[dict[str, Any]]:
    """The JSON lines of a command that must succeed."""
    said = CliRunner().invoke(app, ["--data", str(folder), "--json", "triggers", *words])
    assert said.exit_code == 0, said.output
    return [json.loads(line) for line in said.stdout.splitlines()]


async def prepare(folder: Path) -> None:
    async with open_hook_lab(folder) as lab:
        await lab.set_secret("SHOP", SECRET)
        await lab.publish(make_document("shop", "{path: orders, auth: {hmac: '${{ secrets.SHOP }}'}}"))
        await lab.send("orders")
        [trigger] = await lab.list_triggers()
        await lab.post(f"/{trigger['id']}/pause", {"events": "keep"})
        await lab.send("orders")
        await lab.get(f"/{trigger['id']}/stats")


async def test_triggers_are_listed_paused_and_their_requests_shown(tmp_path: Path):
    await prepare(tmp_path)
    [row] = await run_apart(tmp_path, "list")
    assert (row["workflow"], row["status"], row["total"]) == ("shop", "paused", 2)
    [shown] = await run_apart(tmp_path, "show", row["id"])
    assert shown["with"]["path"] == "orders"
    assert len(await run_apart(tmp_path, "requests", row["id"])) == 2
    assert len(await run_apart(tmp_path, "events", row["id"])) == 1
    assert await run_apart(tmp_path, "discard", row["id"]) == [{"discarded": 1}]
    await run_apart(tmp_path, "resume", row["id"])
    [resumed] = await run_apart(tmp_path, "list")
    assert resumed["status"] == "live"
    assert {kind["name"] for kind in await run_apart(tmp_path, "types")} >= {"webhook", "schedule"}


async def test_triggers_are_attached_fired_and_taken_away_on_a_data_folder(tmp_path: Path):
    await prepare(tmp_path)
    words = ("create", "shop", "webhook", "--set", "path=extra", "--set", "auth=none")
    [made] = await run_apart(tmp_path, *words)
    [tested] = await run_apart(tmp_path, "test", made["id"])
    assert (tested["configuration_valid"], tested["errors"]) == (True, [])
    [fired] = await run_apart(tmp_path, "fire", made["id"], "--payload", '{"n": 1}')
    assert fired["run_id"].startswith("run_")
    [figures] = await run_apart(tmp_path, "stats", made["id"])
    assert (figures["total"], figures["successful"]) == (1, 1)
    await run_apart(tmp_path, "change", made["id"], "--set", "path=moved")
    [shown] = await run_apart(tmp_path, "show", made["id"])
    assert shown["with"] == {"path": "moved", "auth": "none"}
    await run_apart(tmp_path, "delete", made["id"])
    assert [row["workflow"] for row in await run_apart(tmp_path, "list")] == ["shop"]


async def run_apart(folder: Path, *words: str) -> list[dict[str, Any]]:
    """The command has a loop of its own, so it runs in a thread."""
    return await asyncio.to_thread(call, folder, *words)
