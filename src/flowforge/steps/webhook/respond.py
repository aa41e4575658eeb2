"""`webhook.respond`."""

from typing import Annotated, Final

import pydantic
from pydantic import Field

from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation
from flowforge.steps.webhook.answer_headers import ALLOWED, is_allowed, is_value

_LENGTH_MAX: Final = 4_096


class RespondParameters(StrictModel):
    """The answer."""

    status: int = Field(default=200, description="200 to 299, or 400 to 599.", ge=200, le=599)
    headers: Annotated[dict[str, str], Field(max_length=20)] = Field(
        default_factory=dict[str, str],
        description="Content-Type, Content-Language, Cache-Control, ETag, Last-Modified, Retry-After, Link, and names with X- before them.",
    )
    body: pydantic.JsonValue = Field(default=None, description="Text as it is; any other value as JSON; null: no body.")


class RespondResult(StrictModel):
    """What was answered."""

    status: int = Field(description="The status.")
    headers: dict[str, str] = Field(description="The headers, by name in lower case.")
    body: pydantic.JsonValue = Field(description="The body.")


# An effect although it sends nothing itself: its completion must be in the journal at once, where the waiting request looks for it.
@operation(
    "webhook.respond",
    title="Answer a webhook",
    category="webhook",
    icon="reply",
    nature=Nature.EFFECT,
    errors=(
        ErrorCode("header_invalid", "A header may not be set here, or its value cannot stand in one."),
        ErrorCode("status_invalid", "A redirection cannot be answered."),
    ),
    examples=(
        Example(
            "Give the sender a number",
            {"status": 201, "body": {"ticket": 42}},
            {"status": 201, "headers": {}, "body": {"ticket": 42}},
        ),
        Example(
            "A page for a person",
            {"headers": {"Content-Type": "text/html; charset=utf-8"}, "body": "<h1>Thank you</h1>"},
            {"status": 200, "headers": {"content-type": "text/html; charset=utf-8"}, "body": "<h1>Thank you</h1>"},
        ),
    ),
)
async def respond(parameters: RespondParameters, context: OperationContext) -> RespondResult:
    """Answers the request that started the run, where its webhook trigger says `respond: step`.

    The first answer of a run counts; it must come within 30 s, else the sender gets 202 and the run goes on. In a run that nobody waits
    for the step changes nothing. A browser that gets the answer runs no script of it.
    """
    del context
    if 300 <= parameters.status <= 399:
        raise FatalError(f"The status {parameters.status} redirects, which an answer to a webhook cannot.", code="status_invalid")
    headers = {name.lower(): value for name, value in parameters.headers.items()}
    for name, value in headers.items():
        _require_usable(name, value)
    return RespondResult(status=parameters.status, headers=headers, body=parameters.body)


def _require_usable(name: str, value: str) -> None:
    if not is_allowed(name):
        listed = ", ".join(sorted(ALLOWED))
        raise FatalError(f"The header {name[:80]!r} cannot be set here; these can: {listed}, and x-…", code="header_invalid")
    if len(value) > _LENGTH_MAX or not is_value(value):
        message = (
            f"The value of the header {name!r} holds a line break or another character that cannot stand there, or is too long."
        )
        raise FatalError(message, code="header_invalid")
