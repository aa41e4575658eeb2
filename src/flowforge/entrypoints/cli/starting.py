"""From the words of a command to a start: which definition, which input, with what around it."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from flowforge.engine.births import StartRequest, check_start, make_root
from flowforge.engine.events import PinnedVersion
from flowforge.engine.ports import RUN_QUEUE
from flowforge.engine.store import Turn, Verdict
from flowforge.entrypoints.cli.arguments import STDIN, read_source
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.ports import LinkPort, VaultPort, VersionsPort
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.border import decode, encode_canonical
from flowforge.kit.errors import Detail, InvariantError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.language.graph import Workflow
from flowforge.workflows.errors import DocumentInvalidError

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_REGISTRATION_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version that is ready to run: its definition is in the store."""

    version: PinnedVersion
    workflow: Workflow
    warnings: tuple[Detail, ...]


def is_file_name(target: str) -> bool:
    """Whether a word of `run` means a file: it is there, or looks like one. Names of workflows hold neither dots nor slashes."""
    return target == STDIN or target.endswith(_SUFFIXES) or "/" in target or Path(target).is_file()


async def pin_target(installation: Installation, target: str, version: int | None) -> Pinned:
    """A file as an ad hoc version by its hash, or a workflow's published version.

    Raises:
        DocumentInvalidError: the file has faults.
        NotFoundError, ConflictError: there is no such workflow or version, or it takes no runs.
    """
    if not is_file_name(target):
        return await _pin_name(installation, target, version)
    if version is not None:
        raise UsageError("A file has no versions: leave --version out, or name the workflow.")
    return _pin_file(installation, target)


def _pin_file(installation: Installation, file: str) -> Pinned:
    checked = installation.check_source(read_source(file))
    workflow = checked.workflow
    if workflow is None:
        raise DocumentInvalidError(file, checked.errors)
    installation.store.define(workflow.digest, encode_canonical(workflow.document))
    pinned = PinnedVersion(id=f"adhoc_{workflow.digest}", name=workflow.name, version=None, digest=workflow.digest)
    return Pinned(pinned, workflow, tuple(checked.warnings))


async def _pin_name(installation: Installation, name: str, version: int | None) -> Pinned:
    pinned = await VersionsPort(installation).resolve(DEFAULT_WORKSPACE_ID, name, version)
    # The writer's thread may have the store and wait for a transaction of this loop, which must be able to end it.
    stored = await asyncio.to_thread(installation.store.definition, pinned["digest"])
    document = None if stored is None else decode(stored)
    workflow = installation.compile_definition(document) if isinstance(document, dict) else None
    if workflow is None:
        raise InvariantError(f"The definition of {name} is not in the store, or does not compile any more.")
    return Pinned(pinned, workflow, ())


async def start_detached(installation: Installation, request: StartRequest, workflow: Workflow) -> str:
    """Puts the run into the queue for whoever runs an engine here, now or later; its id.

    Raises:
        ValidationError: the input does not fit.
        NotInstalledError: an operation is missing here.
        StartRejectedError: the workflow's limit is reached and says `reject`.
    """
    # Only a detached start needs the engine's errors without an engine.
    from flowforge.engine.errors import StartRejectedError

    value = check_start(workflow, request.input, installation.registry)
    variables = await VaultPort(installation).read_variables(request.workspace_id, workflow.variables)
    store, doorbell = installation.store, installation.doorbell
    worker = store.register("start", _REGISTRATION_MS)
    run_id, at_ms = installation.ids.make_id("run"), installation.clock.now_ms()
    given, link = replace(request, input=value), LinkPort(installation)
    birth = make_root(given, workflow, variables, no=(worker << 32) | 1, run_id=run_id, at=at_ms, link=link)
    turn = Turn(run_no=birth.new_run.no, epoch=0, at=at_ms, seq=2, body=b"", events=0, start=birth.new_run)
    (result,) = store.commit([turn])
    doorbell.ring(RUN_QUEUE, result.run_no or birth.new_run.no, 0)
    store.retire(worker)
    if result.verdict is Verdict.REJECTED and birth.new_run.slot is not None:
        raise StartRejectedError(workflow.name, birth.new_run.slot.limit)
    return result.run_id or run_id
