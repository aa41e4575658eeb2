"""W3 and W6: a server in a process of its own, on a data folder; says where it listens, and serves until its input ends.

`python -m bench.server_process FOLDER [NAME=VALUE …]`: settings by field name. It prints one JSON object: its port, and a key.
"""

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from bench.documents import sequence
from bench.operations import EFFECT, effect
from flowforge.engine.executor import Engine
from flowforge.entrypoints.running import open_engine
from flowforge.entrypoints.server.listening import open_listener
from flowforge.entrypoints.server.serving import open_embedded, prepare_embedded
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.identity.owners import list_owner_ids
from flowforge.identity.service import KeyWish, create_key, make_sign_in_link
from flowforge.kit.border import encode
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.workflows.service import prepare_publication, publish, push_draft
from flowforge.workflows.types import Source

WORKFLOW = "one"
KEY_FILE = "bench.key"
"""A folder that was served before needs no new one, and its start is what is measured."""


async def prepare(installation: Installation, engine: Engine) -> str:
    """The workflow of the bench, published, and a key that may start it."""
    database, now_ms, check = installation.database, installation.clock.now_ms(), installation.check_source
    source = Source(encode(sequence(WORKFLOW, 1, EFFECT)), DocumentFormat.JSON)
    async with database.write.begin() as session:
        await push_draft(session, "bench", DEFAULT_WORKSPACE_ID, source, check=check, at_ms=now_ms)
    async with database.read() as session:
        publication = await prepare_publication(session, DEFAULT_WORKSPACE_ID, WORKFLOW, check=check)
    await engine.committer.call(installation.store.define, publication.digest, publication.definition)
    async with database.write.begin() as session:
        await publish(session, "bench", DEFAULT_WORKSPACE_ID, publication, note="", at_ms=now_ms)
        await make_sign_in_link(session, installation.settings, now_ms=now_ms)
        (owner,) = await list_owner_ids(session)
        wish = KeyWish("bench", ["workflow:start"], "1d", "enterprise")
        return (await create_key(session, owner, DEFAULT_WORKSPACE_ID, wish, now_ms)).text


async def run(folder: Path, settings: dict[str, str]) -> None:
    listener = open_listener("127.0.0.1", 0)
    installation = open_installation(Settings.model_validate({"data": folder, **settings}))
    installation.registry.register(effect)
    tail, part = prepare_embedded(installation)
    try:
        async with (
            open_engine(installation, name="bench", takes_all=True, grace_ms=1_000, masker=Masker(), part=part) as engine,
            open_embedded(installation, engine, tail, listener),
        ):
            key_file = folder / KEY_FILE
            key = key_file.read_text() if key_file.exists() else await prepare(installation, engine)
            key_file.write_text(key)
            print(json.dumps({"port": listener.getsockname()[1], "key": key}), flush=True)
            await asyncio.to_thread(sys.stdin.read)
    finally:
        await installation.aclose()


if __name__ == "__main__":
    told = dict(word.split("=", 1) for word in sys.argv[2:])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(Path(sys.argv[1]), told))
