"""A person's word to a run: recorded in the audit log, then handed to the run, wherever it is carried on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.engine.store import Delivery, NewMail
from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject
from flowforge.runs.errors import RunEndedError, RunNotFoundError
from flowforge.runs.kept_answers import Asked, forget_asked, set_answer, take_up
from flowforge.runs.service import read_journal
from flowforge.runs.starting import Runner
from flowforge.runs.steering import ACTIONS
from flowforge.runs.types import RunHeader
from flowforge.web.calls import Call


@dataclass(frozen=True, slots=True)
class Word:
    """A message to a run. `kind` and `body` as the engine reads them (docs/engine.md).

    `noted`: what the audit log keeps of it. Payloads and outputs are not there: the run's journal has them.
    """

    kind: str
    body: JsonObject
    noted: JsonObject | None = None


async def tell_run(call: Call, header: RunHeader, words: Sequence[Word]) -> None:
    """Records the words as one action, and hands them over. When it returns, they are stored.

    The record is committed first: a word that cannot be recorded is not said. Where the run ends between the two, it is recorded that the
    word came too late.

    Raises:
        RunEndedError: the run has ended.
        RunNotFoundError: it was deleted meanwhile.
    """
    _refuse_ended(header)
    async with call.change() as session:
        await _record_in(session, call, header, words[0])
    runner = call.port(Runner)
    verdicts = [await runner.deliver(_make_mail(call, header, word)) for word in words]
    if verdicts[0] is not Delivery.DELIVERED:
        await _refuse_late(call, header, words[0], verdicts[0])


async def tell_run_once(call: Call, header: RunHeader, word: Word, asked: Asked) -> bool:
    """As `tell_run`, however often the same is asked within a day. False: it was said before, also where the run has ended since.

    Raises:
        RunEndedError, RunNotFoundError: as `tell_run`; the key is not used up.
        IdempotencyMismatchError: another word was said with the same key.
    """

    async def begin(session: AsyncSession) -> None:
        _refuse_ended(header)
        await _record_in(session, call, header, word)

    kept = await take_up(call, asked, begin)
    if kept.answer is not None:
        return False
    verdict = await call.port(Runner).deliver(_make_mail(call, header, word, f"signal:{asked.name}"))
    if verdict is Delivery.FINISHED and not kept.is_new and await _was_heard(call, header, word):
        verdict = Delivery.DUPLICATE
    if verdict not in {Delivery.DELIVERED, Delivery.DUPLICATE}:
        await _refuse_late(call, header, word, verdict, asked)
    async with call.change() as session:
        await set_answer(session, asked, {})
    return verdict is Delivery.DELIVERED


async def _was_heard(call: Call, header: RunHeader, word: Word) -> bool:
    """Whether a run that has ended took the word: whoever said it died before it could be noted."""
    async with call.read() as session:
        turns = await read_journal(session, header)
    said = (word.kind, word.body, call.actor)
    return any(
        event["type"] == "run.mail" and (event["kind"], event["body"], event["by"]) == said
        for turn in turns
        for event in turn.events
    )


def _make_mail(call: Call, header: RunHeader, word: Word, dedup: str | None = None) -> NewMail:
    return NewMail(header.no, word.kind, encode(word.body), call.actor, dedup)


def _refuse_ended(header: RunHeader) -> None:
    if not header.is_open:
        raise RunEndedError(header.id, header.status)


async def _refuse_late(call: Call, header: RunHeader, word: Word, verdict: Delivery, asked: Asked | None = None) -> NoReturn:
    async with call.change() as session:
        await _record_in(session, call, header, word, {"refused": "run_ended"})
        if asked is not None:
            await forget_asked(session, asked)
    if verdict is Delivery.UNKNOWN:
        raise RunNotFoundError(header.id)
    raise RunEndedError(header.id, header.status)


async def _record_in(session: AsyncSession, call: Call, header: RunHeader, word: Word, more: JsonObject | None = None) -> None:
    noted = {**(word.noted or {}), **(more or {})}
    await record(session, call, ACTIONS[word.kind], "run", header.id, after=noted or None)
