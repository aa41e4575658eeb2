"""Named places where a test may kill, stop or break the program. In production each costs one look at a global."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final

CRASH_POINTS: Final[Mapping[str, str]] = {
    "CP01": "start of a run: before COMMIT",
    "CP02": "start of a run: after COMMIT, before the answer",
    "CP03": "relay: outbox rows taken, before they are published",
    "CP04": "relay: published, before the mark's COMMIT",
    "CP05": "worker: before the claim",
    "CP06": "claim committed, before the first turn",
    "CP07": "step.planned committed, before the effect",
    "CP08": "effect sent, answer not read",
    "CP09": "answer read, before the turn's COMMIT",
    "CP10a": "COMMIT sent, answer lost: not committed",
    "CP10b": "COMMIT sent, answer lost: committed",
    "CP11": "turn committed, before its waiters are answered",
    "CP12": "release committed, before the loop goes on",
    "CP13": "due queue rows read, before they are claimed",
    "CP14": "timer.fired committed, before its effects",
    "CP15": "schedule: slot computed, before it is written",
    "CP16a": "schedule: slot written, before COMMIT",
    "CP16b": "schedule: run of the slot started, before the slot's row is removed",
    "CP19": "cancel committed (mail), before the worker learns of it",
    "CP20": "worker: step done, cancel in the mailbox, before COMMIT",
    "CP21": "expired worker found, before it is marked dead",
    "CP22": "worker marked dead, between batches of queue rows",
    "CP23": "blob written, before its row's COMMIT",
    "CP24": "prune: between batches",
    "CP25": "key rotation: between rows",
    "CP26": "migration: between statements",
    "CP28a": "wait row: before COMMIT",
    "CP28b": "wait row committed, before the look back",
    "CP29": "named event stored, before it is matched with those who wait",
    "CP30": "copy of a database: batch committed, before the next one",
    "CP31": "restore to a server: filled, before it is fenced",
}
"""Missing numbers belong to decisions and webhooks, which are not built yet."""

_hook: Callable[[str], None] | None = None


def crashpoint(name: str) -> None:
    """Calls the hook of the running test, if there is one."""
    if _hook is not None:
        _hook(name)


@contextmanager
def crash_hook(hook: Callable[[str], None]) -> Generator[None]:
    """Tests only: `hook` is called at every crash point of this process until the block ends; it may raise, exit, or wait."""
    global _hook  # noqa: PLW0603 -- one hook for the process is the point
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before
