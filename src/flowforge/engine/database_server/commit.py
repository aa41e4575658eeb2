"""The group commit: one transaction, a few statements a table.

Middle turns neither lock nor write their run's row: the epoch is read in the transaction, and as every claim occupies a seq, the unique
key (run_no, seq) lets either the claim or the turn of an older epoch in. Whatever ends or has no journal row locks its run's row first
(in the order of the numbers) and tests epoch and mail there. What no reading foresaw (a row that is there already, a value that the
database does not take) breaks the transaction; then each turn is stored alone, between savepoints. Plan: all by primary key; no scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from flowforge.engine.database_server.births import Births, ask_about_births, find_born
from flowforge.engine.database_server.deliver import mark_read, post_mails
from flowforge.engine.database_server.dialect import Row, Session
from flowforge.engine.database_server.endings import finish_runs, free_runs, free_steps, release_runs
from flowforge.engine.database_server.jobs import change_jobs
from flowforge.engine.database_server.rows import Reading, change_keys, for_keys, select_keys, upsert_rows, write_rows
from flowforge.engine.database_server.run_slots import lock_scopes
from flowforge.engine.store import NewMail, NewOutboxEvent, Turn, TurnResult, Verdict
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database.faults import FaultKind, classify_fault

_STATES = "SELECT no, epoch, mail, crashes, workspace_id, priority FROM runs WHERE finished_at IS NULL AND no IN"
_IN_ORDER = "ORDER BY no FOR UPDATE"
_SCOPES = "SELECT scope FROM slots WHERE run_no IN"
_EXISTING = "SELECT no FROM runs WHERE no IN"
_JOURNAL = "INSERT INTO journal(run_no, seq, epoch, at, events, body)"
_ROW = "SELECT epoch, body FROM journal WHERE run_no=%s AND seq=%s"
_PROGRESS = "UPDATE runs SET crashes=0 WHERE no IN"
_DROP_WAIT = 'DELETE FROM waits WHERE run_no=%s AND "key"=%s'
_WAIT: Final = ("workspace_id", "name", "correlation", "since")
_LOG = "INSERT INTO step_logs(run_no, at, level, step, attempt, message, fields)"
_OUTBOX = "INSERT INTO outbox(workspace_id, aggregate_type, aggregate_id, event_type, payload, traceparent, created_at, due_at)"
_VALUE_FAULTS: Final = (OverflowError, UnicodeError)
_DONE: Final = TurnResult(Verdict.DONE)


@dataclass(frozen=True, slots=True)
class _State:
    epoch: int
    mail: int
    crashes: int
    workspace_id: str
    priority: int


def commit_turns(session: Session, turns: Sequence[Turn], now: int) -> Sequence[TurnResult]:
    """Stores the turns. See `Store.commit`."""
    try:
        with session.transaction():
            results = Batch(session, now).store(turns)
            _reach_commit(turns)
    except (session.error, *_VALUE_FAULTS) as fault:
        if not _is_of_a_row(fault):
            raise
        batch = Batch(session, now)
        with session.transaction(is_piped=False):
            results = [_store_one(batch, turn) for turn in turns]
            _reach_commit(turns)
    _pass_commit(turns)
    return results


def commit_apart(session: Session, turn: Turn, blocked: dict[int, TurnResult], now: int) -> TurnResult:
    """Stores one turn in a transaction of its own, where a whole commit never got through. `blocked`: refused runs, from turn to turn."""
    batch = Batch(session, now, dict(blocked))
    with session.transaction(is_piped=False):
        result = _store_one(batch, turn)
        _reach_commit([turn])
    blocked.update(batch.blocked)
    _pass_commit([turn])
    return result


def _is_of_a_row(fault: Exception) -> bool:
    return isinstance(fault, _VALUE_FAULTS) or classify_fault(fault) in (FaultKind.CONTENT, FaultKind.OURS)


def _reach_commit(turns: Sequence[Turn]) -> None:
    if any(turn.start is not None for turn in turns):
        crashpoint("CP01")
    if any(turn.waits_added for turn in turns):
        crashpoint("CP28a")
    crashpoint("CP10a")


def _pass_commit(turns: Sequence[Turn]) -> None:
    crashpoint("CP10b")
    if any(turn.start is not None for turn in turns):
        crashpoint("CP02")


@dataclass(slots=True)
class Batch:
    """Turns that go into the database together."""

    session: Session
    now: int
    blocked: dict[int, TurnResult] = field(default_factory=dict[int, TurnResult])
    """Runs of which a turn was refused: those behind it are too."""

    def store(self, turns: Sequence[Turn]) -> list[TurnResult]:
        """See `Store.commit`, within the caller's transaction."""
        states, births = self._read(turns)
        results: list[TurnResult] = []
        taken: list[Turn] = []
        for turn in turns:
            result = self.blocked.get(turn.run_no) or self._judge(turn, states, births)
            if result is None:
                taken.append(turn)
                result = _bear_children(turn, births)
            elif result.verdict is not Verdict.DONE:
                self.blocked[turn.run_no] = result
            results.append(result)
        told = self._write(taken, births, states)
        self._end(taken, [*told, *births.mails], states)
        return results

    def _read(self, turns: Sequence[Turn]) -> tuple[dict[int, _State], Births]:
        known = [turn for turn in turns if turn.start is None]
        ending = {turn.run_no for turn in known if turn.finish is not None or turn.release is not None or not turn.body}
        born = find_born(turns)
        reading = Reading()
        reading.add("ending", select_keys(_STATES, ending, _IN_ORDER))
        reading.add("middle", select_keys(_STATES, {turn.run_no for turn in known} - ending))
        freeing = {turn.run_no for turn in turns if turn.finish is not None or turn.slots_freed}
        reading.add("scopes", select_keys(_SCOPES, freeing))
        ask_about_births(reading, born, self.session.texts.share)
        found = reading.read(self.session)
        scopes = {scope for (scope,) in found["scopes"]}
        lock_scopes(self.session, scopes | {new.slot.scope for new in born if new.slot is not None})
        states = {no: _State(*state) for no, *state in (*found["ending"], *found["middle"])}
        return states, Births(self.session, self.now, found=found)

    def _judge(self, turn: Turn, states: dict[int, _State], births: Births) -> TurnResult | None:
        """None: take it in. DONE: it is stored already."""
        if turn.start is not None:
            # Asked again, a limit would answer otherwise than at the first time.
            if turn.run_no in births.stored and (stored := find_stored(self.session, turn)):
                return stored
            result = births.add(turn.start, may_reject=True)
            states[turn.run_no] = _State(1, 0, 0, turn.start.workspace_id, turn.start.priority)
            return None if result.verdict is Verdict.DONE else result
        state = states.get(turn.run_no)
        if state is None or state.epoch != turn.epoch:
            return find_stored(self.session, turn) or TurnResult(Verdict.STALE)
        if (turn.finish is not None or turn.release is not None) and state.mail != turn.mail_seen:
            return find_stored(self.session, turn) or TurnResult(Verdict.MAIL)
        return None

    def _write(self, turns: Sequence[Turn], births: Births, states: dict[int, _State]) -> list[NewMail]:
        """Returns messages to runs whose jobs are gone."""
        births.flush()
        rows = [(turn.run_no, turn.seq, turn.epoch, turn.at, turn.events, turn.body.decode()) for turn in turns if turn.body]
        # In one order for all, lest two commits wait for each other's keys.
        write_rows(self.session, _JOURNAL, sorted((*births.journal, *rows)))
        logs: list[Row] = [
            (turn.run_no, line.at, line.level, line.step, line.attempt, line.message, line.fields.decode())
            for turn in turns
            for line in turn.logs
        ]
        write_rows(self.session, _LOG, logs)
        self._name_blobs([blob for turn in turns for blob in turn.blobs], states)
        told = change_jobs(self.session, turns)
        events = (*births.outbox, *(event for turn in turns for event in turn.outbox))
        write_rows(self.session, _OUTBOX, [_outbox_row(event) for event in events])
        return told

    def _name_blobs(self, blobs: Sequence[tuple[int, str]], states: dict[int, _State]) -> None:
        others = {run_no for run_no, _ in blobs} - set(states)
        there = {no for (no,) in for_keys(self.session, _EXISTING, others)} if others else set[int]()
        rows = [blob for blob in blobs if blob[0] in states or blob[0] in there]
        upsert_rows(self.session, "run_blobs", ("run_no", '"blob"'), (), rows)

    def _end(self, turns: Sequence[Turn], mails: Sequence[NewMail], states: dict[int, _State]) -> None:
        session, now = self.session, self.now
        cleared = {turn.run_no for turn in turns if turn.progressed and states[turn.run_no].crashes}
        change_keys(session, _PROGRESS, cleared)
        self._change_waits(turns, states)
        mark_read(session, [no for turn in turns for no in turn.mail_read])
        free_steps(session, turns, now)
        releases = [(turn, turn.release) for turn in turns if turn.release is not None]
        finishes = [(turn, turn.finish) for turn in turns if turn.finish is not None]
        if releases:
            about = {turn.run_no: _describe(states[turn.run_no], is_cleared=turn.run_no in cleared) for turn, _ in releases}
            release_runs(session, releases, about, now)
        if finishes:
            finish_runs(session, finishes)
            free_runs(session, [turn.run_no for turn, _ in finishes], now)
        # Behind finish and release: a run that leaves in this commit is woken by mail of this commit.
        post_mails(session, [*(mail for turn in turns for mail in turn.mails), *mails], now)

    def _change_waits(self, turns: Sequence[Turn], states: dict[int, _State]) -> None:
        for turn in turns:
            for key in turn.waits_removed:
                self.session.send(_DROP_WAIT, (turn.run_no, key))
            if not turn.waits_added:
                continue
            workspace_id = states[turn.run_no].workspace_id
            rows = [(turn.run_no, wait.key, workspace_id, wait.name, wait.correlation, wait.since) for wait in turn.waits_added]
            upsert_rows(self.session, "waits", ("run_no", '"key"'), _WAIT, rows)


def _describe(state: _State, *, is_cleared: bool) -> tuple[str, int, int]:
    return state.workspace_id, int(state.crashes > 0 and not is_cleared), state.priority


def _outbox_row(event: NewOutboxEvent) -> Row:
    about = (event.workspace_id, event.aggregate_type, event.aggregate_id, event.event_type)
    return (*about, event.payload.decode(), event.traceparent, event.at, event.at)


def _bear_children(turn: Turn, births: Births) -> TurnResult:
    if not turn.children:
        return _DONE
    return TurnResult(Verdict.DONE, children=tuple(births.add(child, may_reject=False).verdict for child in turn.children))


def _store_one(batch: Batch, turn: Turn) -> TurnResult:
    """One turn between savepoints; once more where a row came between, so that the readings see it."""
    session = batch.session
    problem = ""
    for _ in range(2):
        session.send("SAVEPOINT alone")
        try:
            result = batch.store([turn])[0]
        except (session.error, *_VALUE_FAULTS) as fault:
            if not _is_of_a_row(fault):
                raise
            session.send("ROLLBACK TO SAVEPOINT alone")
            problem = str(fault)
        else:
            session.send("RELEASE SAVEPOINT alone")
            return result
        if (stored := find_stored(session, turn)) is not None:
            return stored
    result = _explain(session, turn, problem)
    batch.blocked[turn.run_no] = result
    return result


def _explain(session: Session, turn: Turn, problem: str) -> TurnResult:
    """What a turn is that the database did not take: overtaken, or broken."""
    if turn.body and session.fetch(_ROW, (turn.run_no, turn.seq)):
        return TurnResult(Verdict.STALE)
    return TurnResult(Verdict.UNSTORABLE, problem=problem)


def find_stored(session: Session, turn: Turn) -> TurnResult | None:
    """Reads back whether this very turn is in the journal: (run, seq, epoch, body) decides. None: it is not."""
    if turn.start is not None:
        first = _read_row(session, turn.run_no, 1)
        if first is None or first[1] != turn.start.body:
            return None
        if first[0] == 0:
            return TurnResult(Verdict.DONE if turn.start.owner is None else Verdict.QUEUED)
    if not turn.body:
        return _DONE if turn.start is not None else None
    return _DONE if _read_row(session, turn.run_no, turn.seq) == (turn.epoch, turn.body) else None


def _read_row(session: Session, run_no: int, seq: int) -> tuple[int, bytes] | None:
    rows = session.fetch(_ROW, (run_no, seq))
    return (rows[0][0], rows[0][1].encode()) if rows else None
