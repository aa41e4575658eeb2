"""What single domains ask of the installation around them, wired under the classes of their ports."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from flowforge.cluster.health import HealthPages
from flowforge.cluster.queues import WorkerLine, list_workers
from flowforge.configuration.ports import OnSettingsChanged, PresentSettings
from flowforge.engine.store import NewMail
from flowforge.entrypoints.calls import call_operation
from flowforge.entrypoints.wiring import Installation
from flowforge.files.links import FileLinks
from flowforge.kit.border import encode
from flowforge.kit.errors import ConflictError, Detail
from flowforge.kit.objects import ObjectStore
from flowforge.kit.signing import SigningKeys
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.definition import Operation
from flowforge.operations.registry import Registry
from flowforge.runs.opened import OpenedRun
from flowforge.runs.opening import open_run
from flowforge.runs.ports import RunGround
from flowforge.runs.service import get_run, list_suspects
from flowforge.runs.starting import Runner, RunReader
from flowforge.system.ports import MailFolder, ReadWorkers, RunLetters
from flowforge.toolbox.ports import CallOperation
from flowforge.vault.ports import FindUses
from flowforge.workflows.uses import find_uses

_FILE_LINKS: Final = "file links"


class NoLetterError(ConflictError):
    """The run is no dead letter (any more)."""

    def __init__(self, run_id: str) -> None:
        message = f"{run_id} is no dead letter; GET /system/dead-letters shows those that are."
        super().__init__(message, [Detail("", message, "dead_letter_unknown")])


@dataclass(frozen=True, slots=True)
class Letter:
    """`system.ports.RunLetter`."""

    run_id: str
    workflow: str
    step: str
    tries: int
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class DeadRuns:
    """`system.ports.RunLetters`."""

    installation: Installation
    runner: Runner
    reader: RunReader
    ground: RunGround

    async def list(self, workspace_id: str) -> Sequence[Letter]:
        async with self.installation.database.read() as session:
            suspects = await list_suspects(session, workspace_id)
            opened = [
                await open_run(session, header, self.reader, self.ground, self.installation.clock.now_ms()) for header in suspects
            ]
        return [letter for run in opened if (letter := _read_letter(run)) is not None]

    async def tell(self, workspace_id: str, run_id: str, kind: str, actor: str) -> None:
        async with self.installation.database.read() as session:
            header = await get_run(session, workspace_id, run_id)
            opened = await open_run(session, header, self.reader, self.ground, self.installation.clock.now_ms())
        letter = _read_letter(opened)
        if letter is None:
            raise NoLetterError(run_id)
        body: JsonObject = {"step": letter.step} if kind == "retry" else {}
        await self.runner.deliver(NewMail(header.no, kind, encode(body), actor))


def _read_letter(opened: OpenedRun) -> Letter | None:
    step = opened.run.history.find_poisoned()
    if step is None:
        return None
    last = opened.run.history.find_last_attempt(step)
    wait = None if opened.state is None else opened.state.waits.get(step)
    tries = max(opened.header.crashes, 0 if last is None else last[0])
    return Letter(opened.header.id, opened.header.workflow, step, tries, None if wait is None else wait.since)


def list_ground_ports(
    installation: Installation, pages: HealthPages, signing: SigningKeys, runner: Runner, reader: RunReader, ground: RunGround
) -> Mapping[type, object]:
    """Ports of configuration, vault, files, toolbox and system."""
    present = PresentSettings(installation.database, installation.clock)
    return {
        PresentSettings: present,
        OnSettingsChanged: present,
        FindUses: find_uses,
        Registry: installation.registry,
        ObjectStore: installation.objects,
        FileLinks: FileLinks(signing.derive(_FILE_LINKS)),
        SigningKeys: signing,
        HealthPages: pages,
        CallOperation: partial(_call_operation, installation),
        ReadWorkers: partial(_read_workers, installation),
        RunLetters: DeadRuns(installation, runner, reader, ground),
        MailFolder: partial(_find_mail_folder, installation),
    }


async def _call_operation(
    installation: Installation,
    operation: Operation,
    value: JsonValue,
    *,
    workspace_id: str,
    may_use_secrets: bool,
    key: str | None,
) -> JsonValue:
    def ignore(level: str, message: str, fields: JsonObject) -> None:
        """Lines of an operation that is called alone have no run that they could stand in."""
        del level, message, fields

    return await call_operation(
        installation, operation, value, ignore, workspace_id=workspace_id, may_use_secrets=may_use_secrets, key=key
    )


async def _read_workers(installation: Installation, *, dead_limit: int) -> Sequence[WorkerLine]:
    dead: Sequence[int] = ()
    if not installation.database_url.is_server:
        # The writer's thread may have the store and wait for a transaction of this loop, which must be able to end it.
        dead = await asyncio.to_thread(lambda: installation.worker_locks.find_dead(list(installation.store.alive())))
    now_ms, expiry_ms = installation.clock.now_ms(), installation.settings.expiry_ms
    async with installation.database.read() as session:
        return await list_workers(session, now_ms, expiry_ms=expiry_ms, known_dead=dead, dead_limit=dead_limit)


def _find_mail_folder(installation: Installation) -> Path | None:
    return installation.folder.mail if installation.settings.smtp_url is None else None
