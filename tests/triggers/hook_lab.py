"""A server with an engine in the test's own loop: workflows are published by text, deliveries sent to their webhooks."""

import hashlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import httpx2
import orjson
from sqlalchemy import text
from tests.support.audit_watch import AuditWatch
from tests.support.web_lab import FakeGate

from flowforge.entrypoints.ports import VersionsPort
from flowforge.entrypoints.running import open_engine
from flowforge.entrypoints.server.embedded import EmbeddedRunner
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.identity.models_roles import WorkspaceRow
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import name_sqlite
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.operations.registry import Registry
from flowforge.runs.service import get_run, load_run
from flowforge.runs.starting import Runner, RunReader
from flowforge.runs.types import RunHeader
from flowforge.triggers.endpoints import ROUTERS
from flowforge.triggers.holding import EventsRunKind
from flowforge.triggers.intake import HookIntake
from flowforge.triggers.ports import RunNews
from flowforge.triggers.service import Firing, Recorder, replace_triggers
from flowforge.vault.service import set_secret
from flowforge.web.application import make_application
from flowforge.web.batches.types import BatchKinds
from flowforge.web.calls import Parts
from flowforge.web.frame import App
from flowforge.web.rates import Rates
from flowforge.workflows.service import prepare_publication, publish, push_draft
from flowforge.workflows.types import Source

ACTOR = "user:usr_" + "1" * 26
STEPS = "steps:\n  - {id: keep, uses: flow.set, with: {values: {got: '${{ input }}'}}}\noutput: '${{ steps.keep.output }}'\n"
SECRET = "a-secret-of-the-shop"


def make_document(name: str, hook: str, steps: str = STEPS, more: str = "") -> str:
    """A workflow with one webhook; `hook`: its `with`, in YAML's short form."""
    return f"flowforge: 1\nname: {name}\ntriggers:\n  - id: shop\n    uses: webhook\n    with: {hook}\n{more}{steps}"


def sign(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The header of `auth: hmac`."""
    return {"x-webhook-signature": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


class LabClock(SystemClock):
    """The machine's clock; `shift_s` moves what is measured with it."""

    __slots__ = ("shift_s",)

    def __init__(self) -> None:
        self.shift_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.shift_s


@dataclass
class HookLab:
    """`client` speaks to the server as a stranger would, `gate.caller` is who asks for everything below /api."""

    client: httpx2.AsyncClient
    gate: FakeGate
    parts: Parts
    installation: Installation
    clock: LabClock
    intakes: list[HookIntake] = field(default_factory=list[HookIntake])

    async def publish(self, document: str, workspace_id: str = DEFAULT_WORKSPACE_ID) -> str:
        """Pushes and publishes; gives the workflow's id."""
        source = Source(document.encode(), DocumentFormat.YAML)
        at_ms = self.parts.clock.now_ms()
        check = self.installation.check_source
        async with self.parts.database.write.begin() as session:
            pushed = await push_draft(session, ACTOR, workspace_id, source, check=check, at_ms=at_ms)
        async with self.parts.database.read() as session:
            publication = await prepare_publication(session, workspace_id, pushed.workflow.id, check=check)
        await self.parts.port(Runner).define(publication.digest, publication.definition)
        async with self.parts.database.write.begin() as session:
            await publish(session, ACTOR, workspace_id, publication, note="", at_ms=at_ms, on_published=replace_triggers)
        return pushed.workflow.id

    async def take_down(self, workflow_id: str, name: str, workspace_id: str = DEFAULT_WORKSPACE_ID) -> None:
        """As deprecating and deleting do it."""
        async with self.parts.database.write.begin() as session:
            at_ms = self.parts.clock.now_ms()
            await replace_triggers(session, ACTOR, workspace_id, workflow_id, name, None, at_ms)

    async def set_secret(self, name: str, value: str, workspace_id: str = DEFAULT_WORKSPACE_ID) -> None:
        async with self.parts.database.write.begin() as session:
            at_ms = self.parts.clock.now_ms()
            await set_secret(session, self.parts.keyring, workspace_id, name, value=value, at_ms=at_ms)

    async def send(
        self, path: str, body: bytes = b"{}", *, content_type: str = "application/json", **headers: str
    ) -> httpx2.Response:
        """A delivery, signed for `auth: hmac` unless headers say otherwise; `_` in their names stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        signed = {} if "unsigned" in named else sign(body)
        named.pop("unsigned", None)
        return await self.client.post(f"/hooks/{path}", content=body, headers={"content-type": content_type, **signed, **named})

    async def post(self, path: str, body: object = None) -> httpx2.Response:
        return await self.client.post(f"/api/v1/triggers{path}", json=body)

    async def get(self, path: str) -> Any:
        answer = await self.client.get(f"/api/v1/triggers{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def list_triggers(self) -> list[dict[str, Any]]:
        return (await self.get(""))["data"]

    async def count_runs(self) -> int:
        async with self.parts.database.read() as session:
            return await session.scalar(text("SELECT count(*) FROM runs")) or 0

    async def execute(self, statement: str, **values: object) -> None:
        """A change that no endpoint makes."""
        async with self.parts.database.write.begin() as session:
            await session.execute(text(statement), values)

    async def add_workspace(self, name: str) -> str:
        workspace_id = self.parts.ids.make_id("ws")
        async with self.parts.database.write.begin() as session:
            session.add(
                WorkspaceRow(
                    id=workspace_id,
                    name=name,
                    title=name,
                    description="",
                    created_at=0,
                    created_by=ACTOR,
                    updated_at=0,
                    updated_by=ACTOR,
                )
            )
        return workspace_id

    async def finish(self, run_id: str, workspace_id: str = DEFAULT_WORKSPACE_ID) -> RunHeader:
        """Waits for the run's end."""
        while True:
            async with self.parts.database.read() as session:
                header = await get_run(session, workspace_id, run_id)
            if not header.is_open:
                return header
            await self.parts.port(Runner).wait(header.no, 5)

    async def read_start(self, run_id: str, workspace_id: str = DEFAULT_WORKSPACE_ID) -> dict[str, Any]:
        """The run's first event."""
        async with self.parts.database.read() as session:
            loaded = await load_run(session, workspace_id, run_id, compile_definition=self.installation.compile_definition)
        return cast("dict[str, Any]", loaded.turns[0].events[0])


@cache
def _prepare_database() -> bytes:
    """An empty database of this version: making it takes longer than most tests."""
    with TemporaryDirectory() as folder:
        url = name_sqlite(Path(folder) / "flowforge.db")
        upgrade_database(url)
        return url.file.read_bytes()


def _make_parts(installation: Installation, clock: LabClock, gate: FakeGate, ports: dict[type, object]) -> Parts:
    return Parts(
        settings=installation.settings,
        database=installation.database,
        keyring=installation.keyring,
        clock=clock,
        ids=installation.ids,
        metrics=installation.metrics,
        gate=gate,
        rates=Rates(installation.settings),
        ports=ports,
    )


@asynccontextmanager
async def open_hook_lab(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    wait_max_s: float = 5.0,
    address: str = "127.0.0.1",
    tells_outside: bool = False,
) -> AsyncGenerator[HookLab]:
    """`address`: where requests come from."""
    (folder / "flowforge.db").write_bytes(_prepare_database())
    installation = open_installation(Settings.model_validate({"data": folder, **(settings or {})}))
    reader = installation.open_store()
    gate, clock = FakeGate(), LabClock()
    try:
        async with open_engine(installation, name="lab", takes_all=True, grace_ms=0, masker=Masker()) as engine:
            runner = EmbeddedRunner(engine, reader, VersionsPort(installation), installation.load_blob)
            recorder = Recorder(installation.database.write, tells_outside=tells_outside)
            firing = Firing(
                installation.database,
                runner,
                installation.registry,
                installation.settings.limits,
                installation.clock,
                installation.ids,
                recorder,
            )
            ports: dict[type, object] = {Runner: runner, RunReader: runner, RunNews: runner, Registry: installation.registry}
            kinds = BatchKinds([EventsRunKind()])
            parts = _make_parts(installation, clock, gate, ports | {Recorder: recorder, Firing: firing, BatchKinds: kinds})
            intakes: list[HookIntake] = []
            watch = AuditWatch(installation.database)

            def wrap(app: App) -> App:
                intakes.append(HookIntake(app, parts, wait_max_s=wait_max_s))
                return intakes[-1]

            application = make_application(parts, ROUTERS, [wrap, watch.wrap])
            transport = httpx2.ASGITransport(app=cast("Any", application.app), raise_app_exceptions=False, client=(address, 4711))
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                yield HookLab(client, gate, parts, installation, clock, intakes)
                watch.check()
            for intake in intakes:
                intake.plans.close()
    finally:
        reader.close()
        await installation.aclose()


def read_json(answer: httpx2.Response) -> dict[str, Any]:
    """The answer's body, which must be an object."""
    return cast("dict[str, Any]", orjson.loads(answer.content))


def read_code(answer: httpx2.Response) -> str:
    """The finest code of a refusal."""
    return read_json(answer)["error"]["details"][0]["code"]
