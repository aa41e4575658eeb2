"""Claimed runs come to life: their journal is folded, their mail is put in front of them."""

import orjson

from flowforge.engine.errors import JournalError
from flowforge.engine.events import Event, RunStarted
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.jobs import JOB_MAIL, LOGS, take_logs
from flowforge.engine.machine import Program, RunState, fold
from flowforge.engine.machine.snapshot import SNAPSHOT_FORMAT, SnapshotHead, load_state, read_head
from flowforge.engine.machine.state import Side
from flowforge.engine.machine.work import MailRead
from flowforge.engine.store import Claimed, JournalRow, Mail
from flowforge.kit.border import decode
from flowforge.kit.telemetry.logs import get_logger

logger = get_logger("engine.claims")


def read_started(rows: list[JournalRow]) -> RunStarted:
    """The first event of a journal. Raises JournalError if it does not begin with `run.started`."""
    events: list[Event] = orjson.loads(rows[0].body)
    first = events[0]
    if rows[0].seq != 1 or first["type"] != "run.started":
        raise JournalError(f"A journal begins with {first['type']} at {rows[0].seq}.")
    return first


def fold_rows(program: Program, rows: list[JournalRow]) -> RunState:
    """The state that a whole journal gives; what folding notes beside it was dealt with when it was written."""
    return fold_tail(RunState(program, read_started(rows), rows[0].at), rows)


def fold_tail(state: RunState, rows: list[JournalRow]) -> RunState:
    """Rows on top of a state, as `fold_rows`."""
    for row in rows:
        for event in orjson.loads(row.body):
            fold(state, event, row.at)
    return forget_side(state)


def forget_side(state: RunState) -> RunState:
    state.side = Side()
    return state


def find_head(claimed: Claimed) -> SnapshotHead | None:
    """The head of the run's snapshot; None if there is none that this version can read."""
    if claimed.snapshot is None:
        return None
    if claimed.snapshot_format != SNAPSHOT_FORMAT:
        logger.info("A snapshot has another format and is ignored.", run=claimed.run_id, format=claimed.snapshot_format)
        return None
    try:
        return read_head(claimed.snapshot)
    except JournalError as fault:
        logger.warning("A snapshot cannot be read and is ignored.", run=claimed.run_id, cause=fault.message)
        return None


def revive_from_snapshot(claimed: Claimed, head: SnapshotHead, program: Program) -> LiveRun | None:
    """As `revive`, from snapshot and tail; None if the snapshot cannot be read."""
    assert claimed.snapshot is not None
    try:
        state = load_state(program, claimed.snapshot)
    except JournalError as fault:
        logger.warning("A snapshot cannot be read and is ignored.", run=claimed.run_id, cause=fault.message)
        return None
    live = _begin(claimed, fold_tail(state, list(claimed.rows)))
    live.snapshot_events = head.events
    live.history_bytes += head.size_bytes
    live.history_events += head.events
    return live


def revive(claimed: Claimed, program: Program) -> LiveRun:
    """A claimed run in memory, from its whole journal, with its unread mail waiting."""
    return _begin(claimed, fold_rows(program, list(claimed.rows)))


def _begin(claimed: Claimed, state: RunState) -> LiveRun:
    live = LiveRun(claimed.run_no, state, claimed.epoch, claimed.rows[-1].seq)
    live.is_suspect = claimed.crashes > 0
    live.priority = claimed.priority
    live.history_bytes = sum(len(row.body) for row in claimed.rows)
    live.history_events = sum(row.body.count(b'"type":"') for row in claimed.rows)
    for mail in claimed.mails:
        put_mail(live, mail)
    return live


def put_mail(live: LiveRun, mail: Mail) -> bool:
    """Puts a message in front of its run; False if it has it already."""
    if mail.no in live.mail_known:
        return False
    live.mail_known.add(mail.no)
    decoded = decode(mail.body)
    body = decoded if isinstance(decoded, dict) else {}
    if mail.kind == JOB_MAIL and LOGS in body:
        live.mail_logs[mail.no] = take_logs(body)
    live.outcomes.append(MailRead(mail.no, mail.kind, body, mail.by))
    return True
