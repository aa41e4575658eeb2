"""What is to be done with a delivery to a path: looked up once, and kept for a second while nothing was changed."""

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.events import PinnedVersion
from flowforge.kit.errors import ConflictError, NotFoundError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.values import JsonObject
from flowforge.runs.starting import Runner
from flowforge.triggers import repository
from flowforge.triggers.hook_secrets import Proof, read_proof
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.types import Paused, Trigger
from flowforge.triggers.webhook import WEBHOOK
from flowforge.web.addresses import parse_networks
from flowforge.web.calls import Parts

FRESH_S: Final = 1.0
"""So long a change that another process made may go unseen."""
SETTLING_S: Final = 0.1
"""What was read so soon after a change may be from before it."""
_KEPT_MAX: Final = 10_000
_PATH: Final = re.compile(r"(?:@([A-Za-z0-9_-]{1,64})/)?([a-z0-9-]+(?:/[a-z0-9-]+)*)")
_PATH_MAX: Final = 300
_NOBODY: Final = "wf_" + "0" * 26
_CREDENTIALS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "x-csrf-token", "x-workspace"}
    | {
        "x-webhook-signature",
        "webhook-signature",
        "x-hub-signature",
        "x-hub-signature-256",
        "stripe-signature",
        "x-slack-signature",
    }
)


@dataclass(frozen=True, slots=True)
class HookPlan:
    """A webhook that takes deliveries. `pinned` None: it is paused and keeps them.

    `addresses`: the networks that may call, by comma; empty: all.
    """

    trigger: Trigger
    pinned: PinnedVersion | None
    proof: Proof
    addresses: str
    respond: str
    delivery: str
    hidden_headers: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Kept:
    plan: HookPlan | None
    change: int
    until_s: float


def split_path(path: str) -> tuple[str | None, str] | None:
    """Workspace (None: the default one) and hook path of what stands behind `/hooks/`; None: no hook has such a path."""
    match = _PATH.fullmatch(path) if len(path) <= _PATH_MAX else None
    return None if match is None else (match[1], match[2])


class HookPlans:
    """Plans by workspace and path. Every commit of this process makes them look again; those of others are seen within a second."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._kept: OrderedDict[tuple[str | None, str], _Kept] = OrderedDict()
        self._underway: dict[tuple[str | None, str], asyncio.Task[HookPlan | None]] = {}
        self._change = 0
        self._changed_at_s = float("-inf")
        event.listen(parts.database.engine.sync_engine, "commit", self._on_commit)

    def close(self) -> None:
        """Stops hearing of commits."""
        engine = self._parts.database.engine.sync_engine
        if event.contains(engine, "commit", self._on_commit):
            event.remove(engine, "commit", self._on_commit)

    def _on_commit(self, _connection: Any) -> None:
        self._change += 1
        self._changed_at_s = self._clock.monotonic_s()

    async def find(self, workspace: str | None, path: str) -> HookPlan | None:
        """What to do with a delivery; None: nobody is to know whether there is such a path."""
        key = (workspace, path)
        kept = self._kept.get(key)
        if kept is not None and kept.change == self._change and self._clock.monotonic_s() < kept.until_s:
            return kept.plan
        task = self._underway.get(key)
        if task is None:
            task = self._underway[key] = asyncio.create_task(self._look_up(key))
            task.add_done_callback(lambda _task: self._underway.pop(key, None))
        return await asyncio.shield(task)

    async def _look_up(self, key: tuple[str | None, str]) -> HookPlan | None:
        change, began_s = self._change, self._clock.monotonic_s()
        plan = await self._make(*key)
        is_settled = began_s - self._changed_at_s >= SETTLING_S
        self._kept[key] = _Kept(plan, change, began_s + (FRESH_S if is_settled else SETTLING_S))
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)
        return plan

    async def _make(self, workspace: str | None, path: str) -> HookPlan | None:
        async with self._parts.database.read() as session:
            workspace_id = await _find_workspace_id(session, workspace)
            row = await repository.find_hook(session, workspace_id or "", path)
            trigger = None if row is None else read_trigger(row)
            config: JsonObject = {"auth": "none"} if trigger is None else WEBHOOK.complete(trigger.config)
            proof = await read_proof(session, self._parts.keyring, workspace_id or "", config.get("auth"))
        is_open = trigger is not None and trigger.is_live and trigger.paused is not Paused.REFUSE
        # The same work for a path that is not there: the time of an answer tells nothing.
        pinned = await self._pin(workspace_id or "", _NOBODY if trigger is None else trigger.workflow_id)
        addresses = _read_addresses(config)
        if trigger is None or not is_open or pinned is None or addresses is None:
            return None
        return HookPlan(
            trigger=trigger,
            pinned=None if trigger.paused is Paused.KEEP else pinned,
            proof=proof,
            addresses=addresses,
            respond=str(config["respond"]),
            delivery=str(config["delivery"]),
            hidden_headers=_CREDENTIALS | _find_key_header(config),
        )

    async def _pin(self, workspace_id: str, workflow_id: str) -> PinnedVersion | None:
        try:
            return await self._parts.port(Runner).pin(workspace_id, workflow_id)
        except (NotFoundError, ConflictError):
            return None


async def _find_workspace_id(session: AsyncSession, workspace: str | None) -> str | None:
    if workspace is None:
        return DEFAULT_WORKSPACE_ID
    # Only where the address names a workspace.
    from flowforge.identity.workspaces import find_workspace

    found = await find_workspace(session, workspace)
    return None if found is None else found.id


def _read_addresses(config: JsonObject) -> str | None:
    """The networks by comma; None: one of them is none, so nobody is let in."""
    given = config.get("addresses")
    text = ",".join(str(item) for item in given) if isinstance(given, list) else ""
    try:
        parse_networks(text)
    except ValueError:
        return None
    return text


def _find_key_header(config: JsonObject) -> frozenset[str]:
    auth = config.get("auth")
    key = auth.get("api_key") if isinstance(auth, dict) else None
    return frozenset({str(key["header"]).lower()}) if isinstance(key, dict) and "header" in key else frozenset()
