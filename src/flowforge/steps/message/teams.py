"""`message.teams`."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.border import encode
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import (
    IS_URL,
    MAY_SECRET,
    ErrorCode,
    Example,
    FatalError,
    Nature,
    OperationContext,
    RetryableError,
    StrictModel,
    operation,
    require_one,
)
from flowforge.steps.http.answers import make_excerpt
from flowforge.steps.message.posting import POST_ERRORS, TOO_LONG, find_service_host, hide_url, post_json, refuse_answer

_MESSAGE_MAX_BYTES: Final = 28 * 1024
_FAILED: Final = "Webhook message delivery failed"
"""How an old connector says with the status 200 that it failed."""


class TeamsParameters(StrictModel):
    """What to say, and where: exactly one of `text` and `card`."""

    webhook_url: Annotated[str, IS_URL, MAY_SECRET] = Field(
        description="The URL of the workflow or connector that takes messages for the channel; keep it as a secret.", min_length=1
    )
    text: str | None = Field(default=None, description="The text; a part of Markdown works.", min_length=1)
    title: str | None = Field(default=None, description="With `text`: a line above it.", min_length=1, max_length=500)
    card: dict[str, pydantic.JsonValue] | None = Field(default=None, description="An Adaptive Card, as its designer gives it.")

    @model_validator(mode="after")
    def _check_one(self) -> "TeamsParameters":
        require_one(self, "text", "card")
        if self.title is not None and self.card is not None:
            raise ValueError("title goes with text; a card has its own")
        if self.card is not None and self.card.get("type") != "AdaptiveCard":
            raise ValueError("a card is an object with the type AdaptiveCard")
        return self


class TeamsResult(StrictModel):
    """That the message was taken; Teams tells nothing more."""

    status: int = Field(description="The status code, such as 202.")


def _find_host(parameters: Mapping[str, Any]) -> str:
    return find_service_host(parameters["webhook_url"])


@operation(
    "message.teams",
    title="Teams message",
    category="message",
    icon="message-square",
    nature=Nature.EFFECT,
    errors=(
        *POST_ERRORS,
        TOO_LONG,
        ErrorCode("teams_failed", "Teams took the message, but could not deliver it.", retryable=True),
    ),
    target=_find_host,
    examples=(
        Example(
            "Tell a channel",
            {
                "webhook_url": "https://prod-1.westeurope.logic.azure.com/workflows/1",
                "title": "Orders",
                "text": "Order 42 has been shipped.",
            },
            {"status": 202},
        ),
    ),
)
async def send_to_teams(parameters: TeamsParameters, context: OperationContext) -> TeamsResult:
    """Sends a message to a Microsoft Teams channel, by the webhook of a workflow or of an old connector.

    Texts are sent as an Adaptive Card. Teams knows no idempotency key: after an answer that was lost, another attempt may send the message
    twice.
    """
    hide_url(context, parameters.webhook_url)
    card = _make_card(parameters.text, parameters.title) if parameters.text is not None else parameters.card
    content_type = "application/vnd.microsoft.card.adaptive"
    message: JsonObject = {
        "type": "message",
        "attachments": [{"contentType": content_type, "contentUrl": None, "content": card}],
    }
    if len(encode(message)) > _MESSAGE_MAX_BYTES:
        raise FatalError(
            f"The message is larger than {format_size(_MESSAGE_MAX_BYTES)}, which is what Teams takes; shorten it.",
            code=TOO_LONG.code,
        )
    response = await post_json(context, parameters.webhook_url, message)
    if response.status >= 300:
        raise refuse_answer("Teams", response, context)
    excerpt = make_excerpt(response, context)
    if _FAILED in excerpt:
        raise RetryableError("Teams took the message, but could not deliver it.", code="teams_failed", details={"body": excerpt})
    return TeamsResult(status=response.status)


def _make_card(text: str, title: str | None) -> JsonObject:
    lines: list[JsonValue] = [{"type": "TextBlock", "text": text, "wrap": True}]
    if title is not None:
        lines.insert(0, {"type": "TextBlock", "text": title, "wrap": True, "weight": "Bolder", "size": "Medium"})
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
    }
