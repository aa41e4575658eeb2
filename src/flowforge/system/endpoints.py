"""What operators look at, over HTTP."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Path, Query

from flowforge import __version__
from flowforge.audit.service import record
from flowforge.cluster.dead_letters import (
    DeadEvent,
    LetterId,
    LetterKind,
    LetterNotFoundError,
    RefusedMessage,
    discard_letter,
    parse_letter,
    redrive_event,
)
from flowforge.cluster.health import HealthPages
from flowforge.cluster.queues import QueueLine, WorkerLine, list_queues
from flowforge.configuration.ports import PresentSettings
from flowforge.configuration.service import list_flags
from flowforge.kit.errors import ConflictError, Detail
from flowforge.kit.ids import is_id
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.times import format_optional_time
from flowforge.system.figures import read_figures
from flowforge.system.letters import AnyLetter, list_letters
from flowforge.system.mails import MailNotFoundError, get_mail, list_mails
from flowforge.system.ports import MailFolder, NextTimes, ReadWorkers, RunLetter, RunLetters
from flowforge.system.schemas import (
    DashboardAnswer,
    DashboardRun,
    HealthAnswer,
    HealthCheckAnswer,
    HourAnswer,
    InfoAnswer,
    LetterAnswer,
    MailRow,
    NextTimeAnswer,
    OutboxMailAnswer,
    QueueAnswer,
    WorkerAnswer,
)
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import LIMIT_DEFAULT, Asked, Page, cut_page, mark_list, read_cursor
from flowforge.web.queries import CursorIn, LimitIn, make_asked
from flowforge.web.routing import Router
from flowforge.web.short_lists import ShortForm, short_flag, short_text

info: Final = Router("system", "/info")
system: Final = Router("system", "/system")
stats: Final = Router("system", "/stats")
ROUTERS: Final[Sequence[Router]] = (info, system, stats)

QUEUES: Final = ShortForm("queues", filters={"queue": short_text(lambda line: line.queue)})
WORKERS: Final = ShortForm(
    "workers",
    filters={
        "name": short_text(lambda line: line.name),
        "role": short_text(lambda line: line.role),
        "host": short_text(lambda line: line.host),
        "state": short_text(lambda line: line.state),
        "is_leader": short_flag(lambda line: line.is_leader),
    },
)
_DEAD_MOST: Final = 100
_NEXT_MOST: Final = 10
LetterIn = Annotated[str, Path(max_length=100, examples=["event_12"])]


class LetterKindError(ConflictError):
    """A refused message can only be discarded."""

    def __init__(self, letter_id: str) -> None:
        message = f"{letter_id} was none of ours, so that it can only be looked at and discarded."
        super().__init__(message, [Detail("", message, "letter_kind")])


@info.get("", SIGNED_IN, summary="The server and what is on in this workspace")
async def get_info(call: CallIn) -> InfoAnswer:
    present = await call.port(PresentSettings).read()
    async with call.read() as session:
        flags = await list_flags(session)
    return InfoAnswer(
        version=__version__,
        database=call.parts.database.engine.dialect.name,
        public_url=call.parts.settings.public_url,
        uptime_seconds=round(call.port(HealthPages).uptime_s, 3),
        workspace_id=call.workspace_id,
        announcement=present.announcement,
        features=[flag.name for flag in flags if flag.holds(call.workspace_id)],
    )


@system.get("/health", "system:read", summary="Health, with what each part says")
async def get_health(call: CallIn) -> HealthAnswer:
    pages = call.port(HealthPages)
    results = await pages.look()
    checks = {
        name: HealthCheckAnswer(status=result.status.value, latency_ms=result.latency_ms, message=result.message or None)
        for name, result in results.items()
    }
    hindrances = await pages.find_hindrances()
    is_well = all(check.status == "ok" for check in checks.values())
    status = "unreachable" if hindrances else ("ok" if is_well else "degraded")
    return HealthAnswer(
        status=status,
        stage=pages.stage.value,
        version=__version__,
        uptime_seconds=round(pages.uptime_s, 3),
        checks=checks,
    )


@system.get("/queues", "system:read", summary="What waits for workers")
async def get_queues(call: CallIn, asked: Annotated[Asked, make_asked(QUEUES)]) -> Page[QueueAnswer]:
    async with call.report() as session:
        kept, following = QUEUES.page(await list_queues(session, call.now_ms), asked)
    return Page(data=[_show_queue(line) for line in kept], next_cursor=following)


@system.get("/workers", "system:read", summary="Who works here")
async def get_workers(
    call: CallIn,
    asked: Annotated[Asked, make_asked(WORKERS)],
    *,
    dead: Annotated[bool, Query(description="The last hundred dead ones too.")] = False,
) -> Page[WorkerAnswer]:
    lines = await call.port(ReadWorkers)(dead_limit=_DEAD_MOST if dead else 0)
    kept, following = WORKERS.page(lines, asked, dead)
    return Page(data=[_show_worker(line) for line in kept], next_cursor=following)


@system.get("/dead-letters", "system:read", summary="What was given up and waits for a person")
async def list_dead_letters(call: CallIn, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None) -> Page[LetterAnswer]:
    """Runs of the workspace, then events and messages of the installation, of these the last ones first."""
    held = await call.port(RunLetters).list(call.workspace_id)
    async with call.read() as session:
        kept, following = await list_letters(session, call.workspace_id, held, limit=limit, cursor=cursor)
    return Page(data=[_show_letter(letter) for letter in kept], next_cursor=following)


@system.post(
    "/dead-letters/{letter_id}/redrive",
    "system:operate",
    status=204,
    errors=[LetterNotFoundError, LetterKindError],
    summary="Try it again",
)
async def redrive(call: CallIn, letter_id: LetterIn) -> None:
    """A run's step under the same idempotency key; an event with all its attempts before it."""
    letter = _read_letter(letter_id)
    if letter is None:
        await _tell_run(call, letter_id, "retry")
        return
    if letter.kind is LetterKind.MESSAGE:
        raise LetterKindError(letter_id)
    async with call.change() as session:
        await redrive_event(session, letter, call.now_ms)
        await record(session, call, "dead_letter.redriven", "dead_letter", letter_id, workspace_id="")


@system.post(
    "/dead-letters/{letter_id}/discard", "system:operate", status=204, errors=[LetterNotFoundError], summary="Give it up"
)
async def discard(call: CallIn, letter_id: LetterIn) -> None:
    """A run ends as failed, an event or a message is deleted."""
    letter = _read_letter(letter_id)
    if letter is None:
        await _tell_run(call, letter_id, "discard")
        return
    async with call.change() as session:
        await discard_letter(session, letter)
        await record(session, call, "dead_letter.discarded", "dead_letter", letter_id, workspace_id="")


@system.get("/mail", "system:read", summary="Mails of the built-in outbox")
async def list_outbox(call: CallIn, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None) -> Page[MailRow]:
    """The last ones first. Empty where SMTP_URL is set."""
    mark = mark_list("mail")
    place = read_cursor(cursor, mark, (str,))
    folder, before = call.port(MailFolder)(), None if place is None else str(place[0])
    mails = [] if folder is None else await asyncio.to_thread(list_mails, folder, before, limit + 1)
    kept, following = cut_page(mails, limit, mark, lambda mail: (mail.id,))
    rows = [MailRow.model_validate({"id": m.id, "at": m.at, "from": m.sender, "to": m.to, "subject": m.subject}) for m in kept]
    return Page(data=rows, next_cursor=following)


@system.get("/mail/{mail_id}", "system:read", errors=[MailNotFoundError], summary="A mail of the built-in outbox")
async def get_outbox_mail(call: CallIn, mail_id: Annotated[str, Path(max_length=100)]) -> OutboxMailAnswer:
    folder = call.port(MailFolder)()
    if folder is None:
        raise MailNotFoundError(mail_id)
    mail = await asyncio.to_thread(get_mail, folder, mail_id)
    return OutboxMailAnswer.model_validate(
        {
            "id": mail.id,
            "at": mail.at,
            "from": mail.sender,
            "to": mail.to,
            "subject": mail.subject,
            "text": mail.text,
            "attachments": list(mail.attachments),
        }
    )


@stats.get("/dashboard", "run:read", summary="The figures of the workspace")
async def get_dashboard(call: CallIn) -> DashboardAnswer:
    async with call.report() as session:
        figures = await read_figures(session, call.workspace_id, call.now_ms)
    upcoming = await call.port(NextTimes)(call, _NEXT_MOST)
    return DashboardAnswer(
        running=figures.running,
        waiting=figures.waiting,
        queued=figures.queued,
        completion_rate=figures.completion_rate,
        by_status=dict(figures.by_status),
        by_hour=[HourAnswer(at=format_timestamp_ms(at), by_status=dict(counts)) for at, counts in figures.by_hour.items()],
        next=[NextTimeAnswer.model_validate(told) for told in upcoming],
        failed=[
            DashboardRun(
                id=row["id"],
                workflow=row["workflow_name"],
                status=row["status"],
                started_at=format_timestamp_ms(row["started_at"]),
                error_code=row["error_code"],
            )
            for row in figures.failed
        ],
        my_tasks=0,
    )


def _read_letter(letter_id: str) -> LetterId | None:
    """None: it is a run's. Raises LetterNotFoundError where it is no id at all."""
    letter = parse_letter(letter_id)
    if letter is None and not is_id(letter_id, "run"):
        raise LetterNotFoundError(letter_id[:80])
    return letter


async def _tell_run(call: Call, run_id: str, kind: str) -> None:
    await call.port(RunLetters).tell(call.workspace_id, run_id, kind, call.actor)
    async with call.change() as session:
        done = "redriven" if kind == "retry" else "discarded"
        await record(session, call, f"dead_letter.{done}", "run", run_id)


def _show_queue(line: QueueLine) -> QueueAnswer:
    return QueueAnswer(
        queue=line.queue,
        priority=line.priority,
        due=line.due,
        waiting=line.waiting,
        running=line.running,
        oldest_at=format_optional_time(line.oldest_ms),
    )


def _show_worker(line: WorkerLine) -> WorkerAnswer:
    return WorkerAnswer(
        no=line.no,
        state=line.state,
        name=line.name,
        role=line.role,
        is_leader=line.is_leader,
        host=line.host,
        pid=line.pid,
        version=line.version,
        queues=list(line.queues),
        runs=line.runs,
        jobs=line.jobs,
        beat_at=format_timestamp_ms(line.beat_ms),
        address=line.address,
    )


def _show_letter(letter: AnyLetter) -> LetterAnswer:
    if isinstance(letter, DeadEvent):
        return _show_event(letter)
    return _show_message(letter) if isinstance(letter, RefusedMessage) else _show_run(letter)


def _show_run(letter: RunLetter) -> LetterAnswer:
    what = f"{letter.workflow}, step {letter.step}"
    return LetterAnswer(id=letter.run_id, kind="run", what=what, tries=letter.tries, since=format_optional_time(letter.since_ms))


def _show_event(event: DeadEvent) -> LetterAnswer:
    return LetterAnswer(
        id=str(event.id),
        kind="event",
        what=f"{event.type} of {event.subject}",
        tries=event.attempts,
        since=format_timestamp_ms(event.dead_ms),
        last_error=event.last_error,
    )


def _show_message(message: RefusedMessage) -> LetterAnswer:
    what = f"{message.reason} (queue {message.queue})"
    return LetterAnswer(id=str(message.id), kind="message", what=what, tries=None, since=format_timestamp_ms(message.at_ms))
