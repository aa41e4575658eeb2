"""The kind `file`: which files of which folder, and which changes of them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.errors import Detail
from flowforge.kit.limits import Limits
from flowforge.kit.paths import Entry, FileRoots, PathError, PathFault
from flowforge.kit.units import parse_duration
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.triggers import TRIGGER_KINDS
from flowforge.triggers.kinds import Kind
from flowforge.triggers.source_models import WatchedFileRow, WatchedFolderRow
from flowforge.triggers.types import ConnectionTest, Trigger
from flowforge.web.calls import Call

FILES_MAX: Final = 50_000
"""Files in one watched folder; more are not watched."""
_ROOT: Final = "work"
_QUIET_MS: Final = 1_000
"""How long a file must stand still where the trigger says nothing: what is still being written starts no run."""
_EVENTS: Final = ("created",)


@dataclass(frozen=True, slots=True)
class FileWish:
    """What a trigger watches: `folder` below `root`, empty for the root itself. `quiet_ms`: how long a file must stand still."""

    root: str
    folder: str
    patterns: tuple[str, ...]
    ignore: tuple[str, ...]
    events: frozenset[str]
    is_recursive: bool
    quiet_ms: int

    def wants(self, entry: Entry) -> bool:
        """Whether the file's name, or its path below the folder where a pattern has a `/`, is meant."""
        below = entry.path[len(self.folder) + 1 :] if self.folder else entry.path
        if any(fnmatchcase(below, pattern) or _has_part(below, pattern) for pattern in self.ignore):
            return False
        return any(fnmatchcase(below if "/" in pattern else below.rpartition("/")[2], pattern) for pattern in self.patterns)


def _has_part(path: str, pattern: str) -> bool:
    return any(fnmatchcase(part, pattern) for part in path.split("/"))


def read_wish(config: Mapping[str, JsonValue]) -> FileWish:
    """What the parameters of a trigger mean: `inbox` is a folder of the root `work`, `scans:inbox` one of the root `scans`.

    Raises:
        ValueError: a duration that is none; the language has refused it before.
    """
    path = str(config.get("path", ""))
    root, separator, folder = path.partition(":")
    if not separator:
        root, folder = _ROOT, path
    quiet_ms = [parse_duration(str(config[name])) for name in ("debounce", "stable_for") if config.get(name) is not None]
    return FileWish(
        root=root,
        folder="" if folder in (".", "") else folder.rstrip("/"),
        patterns=_read_texts(config.get("patterns")) or ("*",),
        ignore=_read_texts(config.get("ignore")),
        events=frozenset(_read_texts(config.get("events")) or _EVENTS),
        is_recursive=config.get("recursive") is True,
        quiet_ms=max(quiet_ms, default=_QUIET_MS),
    )


def _read_texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def list_files(roots: FileRoots, wish: FileWish) -> list[Entry]:
    """The files that are meant. Blocks.

    Raises:
        PathError: there is no such root or folder, it leads out of its root, or holds more than FILES_MAX files.
    """
    found = roots.list_entries(wish.root, wish.folder, pattern="*", is_recursive=wish.is_recursive, limit=FILES_MAX)
    return [entry for entry in found if not entry.is_folder and _is_text(entry.path) and wish.wants(entry)]


def _is_text(path: str) -> bool:
    """Names that are no Unicode text can be put into no document."""
    return path.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in path)


async def check_folder(
    _session: AsyncSession, _workspace_id: str, parameters: JsonObject, _limits: Limits, _now_ms: int
) -> Sequence[Detail]:
    """Whether the path can be one below a root; which roots there are knows the machine that watches."""
    try:
        # Without roots, every path that is well formed ends at the question for its root.
        FileRoots(()).find(read_wish(parameters).root, f"{read_wish(parameters).folder or 'x'}")
    except PathError as fault:
        if fault.fault is not PathFault.ROOT_UNKNOWN:
            return [Detail("path", fault.message, fault.fault.value)]
    return ()


async def test_folder(call: Call, parameters: JsonObject) -> ConnectionTest:
    """Looks into the folder."""
    roots = FileRoots((root.name, root.folder) for root in call.parts.settings.list_file_roots())
    try:
        found = await asyncio.to_thread(list_files, roots, read_wish(parameters))
    except PathError as fault:
        return ConnectionTest(is_successful=False, message=fault.message)
    return ConnectionTest(is_successful=True, message=f"The folder is there; {len(found)} files in it are meant now.")


async def follow_trigger(session: AsyncSession, trigger: Trigger, _at_ms: int) -> None:
    """A trigger that is off forgets its files: what comes until it is on again starts no run."""
    if not trigger.is_live:
        await forget_trigger(session, trigger)


async def forget_trigger(session: AsyncSession, trigger: Trigger) -> None:
    """Removes what is known of the trigger's files."""
    for table in (WatchedFileRow, WatchedFolderRow):
        await session.execute(delete(table).where(table.trigger_id == trigger.id))


FILE: Final = Kind(
    TRIGGER_KINDS["file"],
    lambda trigger: trigger["file"],
    examples=(
        {"path": "inbox", "patterns": ["*.csv"]},
        {"path": "scans:new", "patterns": ["*.pdf"], "recursive": True, "ignore": ["tmp"], "stable_for": "10s"},
    ),
    check=check_folder,
    test=test_folder,
    on_change=follow_trigger,
    on_gone=forget_trigger,
)
