"""A call with an Idempotency-Key: made once, and answered again for a day.

A call that failed has used up nothing. It is made anew when it is repeated, with the key that it carries outside, as another attempt of a
step would be.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import digest, digest_value
from flowforge.kit.errors import ConflictError, Detail
from flowforge.kit.objects.values import FILE_KEY
from flowforge.kit.values import JsonValue
from flowforge.runs.kept_answers import Asked, forget_asked, set_answer, take_over, take_up
from flowforge.web.calls import Call

_RESULT: Final = "result"


class CallInProgressError(ConflictError):
    """The same call is being made."""

    def __init__(self) -> None:
        message = "The first call with this key has not ended yet; ask again in a moment."
        super().__init__(message, [Detail("Idempotency-Key", message, "call_in_progress")])


def make_asked(call: Call, operation: str, key: str, value: JsonValue) -> Asked:
    """`value`: the parameters. A file counts by its content: each time that it is sent it gets another id."""
    return Asked(call.workspace_id, f"/operations/{operation}", key, digest_value(_without_ids(value)))


def name_effect(asked: Asked) -> str:
    """The idempotency key that the call carries outside: the same for all that repeat it, and nobody else's."""
    return digest(f"{asked.workspace_id} {asked.name} {asked.digest}".encode())


async def call_once(call: Call, asked: Asked, make: Callable[[], Awaitable[JsonValue]], most_ms: int) -> tuple[JsonValue, bool]:
    """The result, and whether an earlier request has made it. `most_ms`: a call that was not answered for so long is made anew.

    Raises:
        IdempotencyMismatchError: other parameters came with the key.
        CallInProgressError: the first call has not ended.
    """
    kept = await take_up(call, asked, _begin)
    if kept.answer is not None:
        return kept.answer[_RESULT], True
    is_given_up = not kept.is_new and kept.asked_at_ms <= call.now_ms - most_ms
    if not kept.is_new and not (is_given_up and await take_over(call, asked, kept)):
        raise CallInProgressError
    try:
        result = await make()
    except BaseException:
        async with call.change() as session:
            await forget_asked(session, asked)
        raise
    async with call.change() as session:
        await set_answer(session, asked, {_RESULT: result})
    return result, False


async def _begin(_session: AsyncSession) -> None:
    """The call itself is all there is to record."""


def _without_ids(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        facts = value.get(FILE_KEY)
        if isinstance(facts, dict) and "sha256" in facts:
            return {FILE_KEY: {name: item for name, item in facts.items() if name != "id"}}
        return {name: _without_ids(item) for name, item in value.items()}
    return [_without_ids(item) for item in value] if isinstance(value, list) else value
