"""Runs that cannot go on here: they go back into the queue, each with its reason."""

from dataclasses import replace

from flowforge.engine.executor.commits import Item
from flowforge.engine.executor.host import Host
from flowforge.engine.ports import RUN_QUEUE
from flowforge.engine.store import FAR_FUTURE_MS, Release, Turn, TurnResult, Verdict
from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject


def set_aside(engine: Host, run_no: int, epoch: int, mail_seen: int, reason: str, due_at: int = FAR_FUTURE_MS) -> None:
    """Puts a run that cannot go on now back into the queue, where `due_at` or a person's message wakes it."""
    at = engine.parts.clock.now_ms()
    cause: JsonObject = {"kind": "fault", "step": "", "since": at, "ref": {"reason": reason}}
    release = Release("waiting", due_at, encode({"causes": [cause]}).decode())
    _give_back(engine, Turn(run_no, epoch, at, 0, b"", 0, mail_seen, release=release))


def leave_to_newer(engine: Host, run_no: int, epoch: int, mail_seen: int, reason: str) -> None:
    """Puts a run whose journal holds events of a newer version back into the queue, due now, for a worker that knows them."""
    at = engine.parts.clock.now_ms()
    cause: JsonObject = {"kind": "newer", "step": "", "since": at, "ref": {"reason": reason}}
    release = Release("queued", at, encode({"causes": [cause]}).decode(), needs=engine.settings.events_format + 1)
    _give_back(engine, Turn(run_no, epoch, at, 0, b"", 0, mail_seen, release=release))


def _give_back(engine: Host, turn: Turn) -> None:
    def go_on(result: TurnResult) -> None:
        if result.verdict is Verdict.MAIL:
            # A message came meanwhile: it stays unread, for whoever takes the run next.
            _give_back(engine, replace(turn, mail_seen=turn.mail_seen + 1))
            return
        engine.watch.wake(turn.run_no)
        if turn.release is not None and turn.release.due_at <= turn.at:
            engine.parts.doorbell.ring(RUN_QUEUE, turn.run_no, 0)

    engine.committer.submit(Item(turn, go_on))
