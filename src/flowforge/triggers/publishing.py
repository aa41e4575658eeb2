"""A document's triggers set live: in the transaction that publishes it, so that none fires for a version that is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import encode
from flowforge.kit.errors import Detail
from flowforge.kit.ids import make_id
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.triggers import repository
from flowforge.triggers.checking import check_deeply
from flowforge.triggers.errors import HookPathTakenError, TriggerInvalidError
from flowforge.triggers.models import TriggerRow
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.registry import KINDS
from flowforge.triggers.types import Source

_WEBHOOK: Final = "webhook"
_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A trigger as the document has it; `index` is its place there."""

    index: int
    kind: str
    config: JsonObject
    input: str | None
    path: str | None


@dataclass(slots=True)
class _Replacement:
    session: AsyncSession
    actor: str
    workspace_id: str
    workflow_id: str
    name: str
    at_ms: int
    wanted: Mapping[str, _Wanted]
    is_live: bool
    limits: Limits
    changed: list[TriggerRow] = field(default_factory=list[TriggerRow])

    async def replace(self) -> None:
        rows = await repository.list_of_workflow(self.session, self.workspace_id, self.workflow_id)
        own = {row.key: row for row in rows if row.source == Source.DOCUMENT}
        self._refuse_twins()
        await self._check(own)
        await self._free_paths(own)
        await self._refuse_taken([row.id for row in rows])
        for key, wanted in self.wanted.items():
            row = own.get(key)
            self._change(row, wanted) if row is not None else self._make(key, wanted)
        for row in rows:
            if row.source == Source.ATTACHED:
                self._switch(row, is_live=self.is_live)
            elif row.key not in self.wanted:
                self._switch(row, is_live=False)
        await self._flush()
        for row in self.changed:
            await KINDS[row.kind].on_change(self.session, read_trigger(row), self.at_ms)

    def _refuse_twins(self) -> None:
        seen: set[str] = set()
        for wanted in self.wanted.values():
            if wanted.path is not None and wanted.path in seen:
                raise HookPathTakenError(wanted.path, _name_field(wanted), self.name)
            seen.add(wanted.path or "")

    async def _check(self, own: Mapping[str, TriggerRow]) -> None:
        """Parameters that are as they were are not looked at again: a moment that has passed must not keep a workflow from publishing."""
        faults: list[Detail] = []
        for key, wanted in self.wanted.items():
            row = own.get(key)
            if row is not None and row.kind == wanted.kind and row.config == encode(wanted.config).decode():
                continue
            found = await check_deeply(
                self.session, self.workspace_id, wanted.kind, wanted.config, limits=self.limits, now_ms=self.at_ms
            )
            faults += [replace(fault, field=f"triggers[{wanted.index}].{fault.field}") for fault in found]
        if faults:
            raise TriggerInvalidError(faults)

    async def _free_paths(self, own: Mapping[str, TriggerRow]) -> None:
        """Paths that go from one trigger of the document to another are free before they are taken."""
        freed = [row for key, row in own.items() if row.path is not None and row.path != _find_path(self.wanted.get(key))]
        for row in freed:
            row.path = None
        if freed:
            await self.session.flush()

    async def _refuse_taken(self, own_ids: Sequence[str]) -> None:
        for wanted in self.wanted.values():
            if wanted.path is None:
                continue
            # Another trigger of the same workflow may have it too: one that is attached.
            owner = await repository.find_hook(self.session, self.workspace_id, wanted.path)
            if owner is not None and (owner.id not in own_ids or owner.source == Source.ATTACHED):
                raise HookPathTakenError(wanted.path, _name_field(wanted), owner.workflow)

    def _make(self, key: str, wanted: _Wanted) -> None:
        row = TriggerRow(
            id=make_id("trg"),
            workspace_id=self.workspace_id,
            workflow_id=self.workflow_id,
            workflow=self.name,
            key=key,
            kind=wanted.kind,
            source=Source.DOCUMENT.value,
            config=encode(wanted.config).decode(),
            input=wanted.input,
            path=wanted.path,
            is_live=True,
            paused="",
            etag=make_id("et"),
            created_at=self.at_ms,
            created_by=self.actor,
            updated_at=self.at_ms,
            updated_by=self.actor,
            total=0,
            successful=0,
            failed=0,
        )
        self.session.add(row)
        self.changed.append(row)

    def _change(self, row: TriggerRow, wanted: _Wanted) -> None:
        config = encode(wanted.config).decode()
        is_same = (row.kind, row.config, row.input, row.is_live) == (wanted.kind, config, wanted.input, True)
        row.path, row.workflow = wanted.path, self.name
        if is_same:
            return
        row.kind, row.config, row.input, row.is_live = wanted.kind, config, wanted.input, True
        self._mark(row)

    def _switch(self, row: TriggerRow, *, is_live: bool) -> None:
        row.workflow = self.name
        if row.is_live != is_live:
            row.is_live = is_live
            self._mark(row)

    def _mark(self, row: TriggerRow) -> None:
        row.etag = make_id("et")
        row.updated_at, row.updated_by = self.at_ms, self.actor
        self.changed.append(row)

    async def _flush(self) -> None:
        try:
            await self.session.flush()
        except IntegrityError as fault:
            # Somebody else took a path at the same moment.
            taken = next((wanted for wanted in self.wanted.values() if wanted.path is not None), None)
            if taken is None:
                raise
            raise HookPathTakenError(taken.path or "", _name_field(taken)) from fault


async def replace_triggers(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    workflow_id: str,
    name: str,
    document: JsonObject | None,
    at_ms: int,
    limits: Limits = _LIMITS,
) -> None:
    """Makes the document's triggers the live ones of the workflow; None: none is live any more. Implements `workflows.ports.OnPublished`.

    A trigger keeps its id, its pause, its held events and its figures for as long as the document, now or later again, has one of its id.

    Raises:
        TriggerInvalidError: a trigger has parameters that this server does not take.
        HookPathTakenError: a path belongs to another webhook of the workspace.
    """
    wanted = {} if document is None else _list_wanted(document.get("triggers"))
    replacement = _Replacement(
        session, actor, workspace_id, workflow_id, name, at_ms, wanted=wanted, is_live=document is not None, limits=limits
    )
    await replacement.replace()


def _list_wanted(value: JsonValue) -> dict[str, _Wanted]:
    wanted: dict[str, _Wanted] = {}
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict) and isinstance(kind := item.get("uses"), str) and kind in KINDS:
            config = item.get("with")
            parameters = config if isinstance(config, dict) else {}
            given = encode(item["input"]).decode() if "input" in item else None
            wanted[str(item.get("id"))] = _Wanted(index, kind, parameters, given, find_hook_path(kind, parameters))
    return wanted


def find_hook_path(kind: str, config: JsonObject) -> str | None:
    """The path that a trigger takes; None: it is no webhook."""
    path = config.get("path")
    return path if kind == _WEBHOOK and isinstance(path, str) else None


def _find_path(wanted: _Wanted | None) -> str | None:
    return None if wanted is None else wanted.path


def _name_field(wanted: _Wanted) -> str:
    return f"triggers[{wanted.index}].with.path"
