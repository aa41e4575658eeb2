"""A person's word to a run: recorded in the audit log, then handed to the run, wherever it is carried on."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowforge.audit.service import record
from flowforge.engine.store import Delivery, NewMail
from flowforge.kit.border import digest_value, encode
from flowforge.kit.values import JsonObject
from flowforge.runs import repository
from flowforge.runs.errors import RunEndedError, RunNotFoundError
from flowforge.runs.once import IdempotencyMismatchError
from flowforge.runs.starting import Runner
from flowforge.runs.types import RunHeader
from flowforge.web.calls import Call

_ACTIONS = {
    "cancel": "run.cancelled",
    "pause": "run.paused",
    "resume": "run.resumed",
    "signal": "run.signalled",
    "edit": "run.corrected",
    "retry": "step.retried",
    "skip": "step.skipped",
    "resolve": "step.resolved",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A message to a run. `kind` and `body` as the engine reads them (docs/engine.md); with a `once` it is taken once.

    `noted`: what the audit log keeps of it. Payloads and outputs are not there: the run's journal has them.
    """

    kind: str
    body: JsonObject
    noted: JsonObject | None = None
    once: str | None = None

    @property
    def dedup(self) -> str | None:
        """The name under which the run takes it once: the key, and what was said with it."""
        return None if self.once is None else f"{self.once}#{digest_value(self.body)}"


async def tell_run(call: Call, header: RunHeader, words: Sequence[Word]) -> bool:
    """Records the words as one action, and hands them over. When it returns, they are stored. False: they were there before.

    The record is committed first: a word that cannot be recorded is not said. Where the run ends between the two, it is recorded that the
    word came too late.

    Raises:
        RunEndedError: the run has ended.
        RunNotFoundError: it was deleted meanwhile.
        IdempotencyMismatchError: another word was said with the same key.
    """
    if not header.is_open:
        raise RunEndedError(header.id, header.status)
    if await _is_repeat(call, header, words):
        return False
    await _record(call, header, words[0])
    runner = call.port(Runner)
    verdicts = [await runner.deliver(NewMail(header.no, word.kind, encode(word.body), call.actor, word.dedup)) for word in words]
    if verdicts[0] in {Delivery.DELIVERED, Delivery.DUPLICATE}:
        return verdicts[0] is Delivery.DELIVERED
    await _record(call, header, words[0], {"refused": "run_ended"})
    if verdicts[0] is Delivery.UNKNOWN:
        raise RunNotFoundError(header.id)
    raise RunEndedError(header.id, header.status)


async def _is_repeat(call: Call, header: RunHeader, words: Sequence[Word]) -> bool:
    once = words[0].once
    if once is None:
        return False
    async with call.read() as session:
        names = await repository.list_mail_names(session, header.workspace_id, header.no, f"{once}#")
    # A key may hold the mark that stands before the digest; a digest does not.
    known = [name for name in names if name.rpartition("#")[0] == once]
    if known and words[0].dedup not in known:
        raise IdempotencyMismatchError("Idempotency-Key", header.id)
    return bool(known)


async def _record(call: Call, header: RunHeader, word: Word, more: JsonObject | None = None) -> None:
    action = _ACTIONS[word.kind]
    async with call.change() as session:
        await record(session, call, action, "run", header.id, after={**(word.noted or {}), **(more or {})} or None)
