"""The group commit: one transaction, one statement a table.

Everything that may refuse a turn (epoch, mail, limits, names) is read under the write lock first, and what was read there stays true
until COMMIT. What no reading foresaw (a row that is there already, a value that the database does not take) breaks the
transaction; then each turn is stored alone, between savepoints. Plan: all by primary key; no scan.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from flowforge.engine.sqlite.births import Births
from flowforge.engine.sqlite.deliver import mark_read, post_mails
from flowforge.engine.sqlite.endings import finish_runs, free_steps, release_runs
from flowforge.engine.sqlite.jobs import change_jobs
from flowforge.engine.sqlite.rows import Row, for_keys, transaction, write_rows
from flowforge.engine.store import NewMail, NewOutboxEvent, Turn, TurnResult, Verdict
from flowforge.kit.crashpoint import crashpoint

_STATES = "SELECT no, epoch, mail, crashes FROM runs WHERE finished_at IS NULL AND no IN"
_JOURNAL = "INSERT INTO journal(run_no, seq, epoch, at, events, body)"
_ROW = "SELECT epoch, CAST(body AS BLOB) FROM journal WHERE run_no=? AND seq=?"
_PROGRESS = "UPDATE runs SET crashes=0 WHERE no IN"
_WAIT = """INSERT OR REPLACE INTO waits(run_no, key, workspace_id, name, correlation, since)
 SELECT ?, ?, workspace_id, ?, ?, ? FROM runs WHERE no=?"""
_DROP_WAIT = "DELETE FROM waits WHERE run_no=? AND key=?"
_LOG = "INSERT INTO step_logs(run_no, at, level, step, attempt, message, fields)"
_BLOB = "INSERT OR IGNORE INTO run_blobs(run_no, blob) SELECT r.no, v.column2 FROM ("
_BLOB_OF_RUN = ") AS v JOIN runs r ON r.no=v.column1"
_OUTBOX = """INSERT INTO outbox(workspace_id, aggregate_type, aggregate_id, event_type, payload, traceparent, created_at, due_at,
 published_at)"""
_CONTENT_FAULTS: Final = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
_VALUE_FAULTS: Final = (OverflowError, UnicodeError)
_DONE: Final = TurnResult(Verdict.DONE)


def commit_turns(
    connection: sqlite3.Connection, turns: Sequence[Turn], now: int, *, tells_outbox: bool = False
) -> Sequence[TurnResult]:
    """Stores the turns. See `Store.commit`. `tells_outbox`: events for the outside count as published as they are stored."""
    try:
        with transaction(connection):
            results = _Batch(connection, now, tells_outbox).store(turns)
            _reach_commit(turns)
    except (*_CONTENT_FAULTS, *_VALUE_FAULTS):
        with transaction(connection):
            results = _store_alone(connection, turns, now, tells_outbox=tells_outbox)
            _reach_commit(turns)
    crashpoint("CP10b")
    if any(turn.start is not None for turn in turns):
        crashpoint("CP02")
    return results


def _reach_commit(turns: Sequence[Turn]) -> None:
    if any(turn.start is not None for turn in turns):
        crashpoint("CP01")
    if any(turn.waits_added for turn in turns):
        crashpoint("CP28a")
    crashpoint("CP10a")


@dataclass(slots=True)
class _Batch:
    """Turns that go into the database together."""

    connection: sqlite3.Connection
    now: int
    tells_outbox: bool = False
    blocked: dict[int, TurnResult] = field(default_factory=dict[int, TurnResult])
    """Runs of which a turn was refused: those behind it are too."""
    told: list[NewMail] = field(default_factory=list[NewMail])
    """To runs whose jobs are gone."""

    def store(self, turns: Sequence[Turn]) -> list[TurnResult]:
        states = self._read_states(turns)
        births = Births(self.connection, self.now)
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
        self._write(taken, births)
        suspects = {turn.run_no for turn in taken if turn.progressed and turn.start is None and states[turn.run_no][2]}
        self._end(taken, births.mails, suspects)
        return results

    def _read_states(self, turns: Sequence[Turn]) -> dict[int, tuple[int, int, int]]:
        known = {turn.run_no for turn in turns if turn.start is None}
        rows = for_keys(self.connection, _STATES, known) if known else []
        return {no: (epoch, mail, crashes) for no, epoch, mail, crashes in rows}

    def _judge(self, turn: Turn, states: dict[int, tuple[int, int, int]], births: Births) -> TurnResult | None:
        """None: take it in. DONE: it is stored already."""
        if turn.start is not None:
            # Asked again, a limit would answer otherwise than at the first time.
            if turn.start.slot is not None and (stored := find_stored(self.connection, turn)):
                return stored
            result = births.add(turn.start, may_reject=True)
            states[turn.run_no] = (1, 0, 0)
            return None if result.verdict is Verdict.DONE else result
        state = states.get(turn.run_no)
        if state is None or state[0] != turn.epoch:
            return find_stored(self.connection, turn) or TurnResult(Verdict.STALE)
        if (turn.finish is not None or turn.release is not None) and state[1] != turn.mail_seen:
            return find_stored(self.connection, turn) or TurnResult(Verdict.MAIL)
        return None

    def _write(self, turns: Sequence[Turn], births: Births) -> None:
        births.flush()
        rows: list[Row] = [*births.journal]
        rows.extend((turn.run_no, turn.seq, turn.epoch, turn.at, turn.events, turn.body.decode()) for turn in turns if turn.body)
        write_rows(self.connection, _JOURNAL, rows)
        logs: list[Row] = [
            (turn.run_no, line.at, line.level, line.step, line.attempt, line.message, line.fields.decode())
            for turn in turns
            for line in turn.logs
        ]
        write_rows(self.connection, _LOG, logs)
        write_rows(self.connection, _BLOB, [blob for turn in turns for blob in turn.blobs], _BLOB_OF_RUN)
        self.told = change_jobs(self.connection, turns)
        events = [*births.outbox, *(event for turn in turns for event in turn.outbox)]
        if events:
            write_rows(
                self.connection, _OUTBOX, [_outbox_row(event, self.now if self.tells_outbox else None) for event in events]
            )

    def _end(self, turns: Sequence[Turn], displacing: Sequence[NewMail], suspects: set[int]) -> None:
        for_keys(self.connection, _PROGRESS, suspects)
        for turn in turns:
            self._change_waits(turn)
        mark_read(self.connection, [no for turn in turns for no in turn.mail_read])
        free_steps(self.connection, turns, self.now)
        releases = [(turn, turn.release) for turn in turns if turn.release is not None]
        finishes = [(turn, turn.finish) for turn in turns if turn.finish is not None]
        if releases:
            release_runs(self.connection, releases, self.now)
        if finishes:
            finish_runs(self.connection, finishes, self.now)
        # Behind finish and release: a run that leaves in this commit is woken by mail of this commit.
        mails = [*(mail for turn in turns for mail in turn.mails), *self.told, *displacing]
        if mails:
            post_mails(self.connection, mails, self.now)

    def _change_waits(self, turn: Turn) -> None:
        for key in turn.waits_removed:
            self.connection.execute(_DROP_WAIT, (turn.run_no, key))
        for wait in turn.waits_added:
            values = (turn.run_no, wait.key, wait.name, wait.correlation, wait.since, turn.run_no)
            self.connection.execute(_WAIT, values)


def _outbox_row(event: NewOutboxEvent, published_at: int | None) -> Row:
    about = (event.workspace_id, event.aggregate_type, event.aggregate_id, event.event_type)
    due_at = event.at if published_at is None else None
    return (*about, event.payload.decode(), event.traceparent, event.at, due_at, published_at)


def _bear_children(turn: Turn, births: Births) -> TurnResult:
    if not turn.children:
        return _DONE
    return TurnResult(Verdict.DONE, children=tuple(births.add(child, may_reject=False).verdict for child in turn.children))


def _store_alone(connection: sqlite3.Connection, turns: Sequence[Turn], now: int, *, tells_outbox: bool) -> list[TurnResult]:
    batch = _Batch(connection, now, tells_outbox)
    return [_store_one(connection, batch, turn) for turn in turns]


def _store_one(connection: sqlite3.Connection, batch: _Batch, turn: Turn) -> TurnResult:
    connection.execute("SAVEPOINT alone")
    try:
        result = batch.store([turn])[0]
    except (*_CONTENT_FAULTS, *_VALUE_FAULTS) as fault:
        connection.execute("ROLLBACK TO alone")
        result = _explain(connection, turn, fault)
        if result.verdict is not Verdict.DONE:
            batch.blocked[turn.run_no] = result
    connection.execute("RELEASE alone")
    return result


def _explain(connection: sqlite3.Connection, turn: Turn, fault: Exception) -> TurnResult:
    """What a turn is that the database did not take: stored before (a lost answer), overtaken, or broken."""
    stored = find_stored(connection, turn)
    if stored is not None:
        return stored
    if turn.body and connection.execute(_ROW, (turn.run_no, turn.seq)).fetchone() is not None:
        return TurnResult(Verdict.STALE)
    return TurnResult(Verdict.UNSTORABLE, problem=str(fault))


def find_stored(connection: sqlite3.Connection, turn: Turn) -> TurnResult | None:
    """Reads back whether this very turn is in the journal: (run, seq, epoch, body) decides. None: it is not."""
    if turn.start is not None:
        first = connection.execute(_ROW, (turn.run_no, 1)).fetchone()
        if first is None or first[1] != turn.start.body:
            return None
        if first[0] == 0:
            return TurnResult(Verdict.DONE if turn.start.owner is None else Verdict.QUEUED)
    if not turn.body:
        return _DONE if turn.start is not None else None
    row = connection.execute(_ROW, (turn.run_no, turn.seq)).fetchone()
    return _DONE if row == (turn.epoch, turn.body) else None
