"""`message.slack`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.egress import EgressResponse
from flowforge.kit.values import JsonObject
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
from flowforge.steps.message.posting import (
    POST_ERRORS,
    find_server_host,
    find_service_host,
    hide,
    hide_url,
    post_json,
    read_reply,
    refuse_answer,
)

_SERVER: Final = "https://slack.com/api"
_ERROR: Final = re.compile(r"[a-z][a-z0-9_]{1,60}")
_PASSING: Final = frozenset(
    {"fatal_error", "internal_error", "rate_limited", "ratelimited", "request_timeout", "service_unavailable"}
)


class SlackParameters(StrictModel):
    """What to say, and where: by `webhook_url`, or by `token` and `channel`."""

    webhook_url: Annotated[str | None, IS_URL, MAY_SECRET] = Field(
        default=None, description="The URL of an incoming webhook; keep it as a secret.", min_length=1
    )
    token: Annotated[str | None, MAY_SECRET] = Field(
        default=None, description="A bot token (`xoxb-…`) with the scope chat:write.", min_length=1
    )
    channel: str | None = Field(
        default=None, description="With `token`: the channel's id or `#name`, or a member's id.", min_length=1
    )
    text: str | None = Field(
        default=None,
        description="The text, in Slack's mrkdwn; with `blocks` what notifications show.",
        min_length=1,
        max_length=40_000,
    )
    blocks: list[dict[str, pydantic.JsonValue]] | None = Field(
        default=None, description="Block Kit blocks, at most 50.", min_length=1, max_length=50
    )
    thread: str | None = Field(
        default=None, description="With `token`: the `message_id` of the message to answer in its thread.", min_length=1
    )
    unfurl: bool = Field(default=True, description="Whether links get a preview.")
    server: Annotated[str, IS_URL] = Field(default=_SERVER, description="Where Slack's Web API is.", min_length=1)

    @model_validator(mode="after")
    def _check_way(self) -> "SlackParameters":
        require_one(self, "webhook_url", "token")
        if (self.token is None) != (self.channel is None):
            raise ValueError("a token needs a channel, and a webhook has its own")
        if self.thread is not None and self.token is None:
            raise ValueError("thread works with a token, not with a webhook")
        if self.text is None and self.blocks is None:
            raise ValueError("give text or blocks, or both")
        return self


class SlackResult(StrictModel):
    """The message that was sent; both are null for a webhook, which does not tell."""

    channel: str | None = Field(description="The id of the channel.")
    message_id: str | None = Field(
        description="The `ts` that identifies the message in its channel; give it as `thread` to answer it."
    )


def _find_host(parameters: Mapping[str, Any]) -> str:
    url = parameters.get("webhook_url")
    return find_server_host(parameters, _SERVER) if url is None else find_service_host(url)


@operation(
    "message.slack",
    title="Slack message",
    category="message",
    icon="slack",
    nature=Nature.EFFECT,
    errors=(
        *POST_ERRORS,
        ErrorCode("slack_<error>", "Slack refused the message with this error, such as slack_channel_not_found."),
    ),
    target=_find_host,
    examples=(
        Example(
            "Tell a channel",
            {"token": "${{ secrets.SLACK_TOKEN }}", "channel": "#orders", "text": "Order 42 has been shipped."},
            {"channel": "C0ORDERS", "message_id": "1767323045.000100"},
        ),
        Example(
            "Tell the channel of a webhook",
            {"webhook_url": "https://hooks.slack.com/services/T0/B0/x", "text": "Order 42 has been shipped."},
            {"channel": None, "message_id": None},
        ),
    ),
)
async def send_to_slack(parameters: SlackParameters, context: OperationContext) -> SlackResult:
    """Sends a message to Slack, by an incoming webhook or as a bot (chat.postMessage).

    A message that Slack refuses fails the step with `slack_<error>`; when it asks to wait, the next attempt waits for what Retry-After
    says. In the text, `&`, `<` and `>` of your data are to be written `&amp;`, `&lt;` and `&gt;`. Slack knows no idempotency key: after an
    answer that was lost, another attempt may send the message twice.
    """
    message: JsonObject = {"unfurl_links": parameters.unfurl, "unfurl_media": parameters.unfurl}
    if parameters.text is not None:
        message["text"] = parameters.text
    if parameters.blocks is not None:
        message["blocks"] = [*parameters.blocks]
    if parameters.webhook_url is not None:
        return await _send_by_webhook(parameters.webhook_url, message, context)
    return await _send_as_bot(parameters, message, context)


async def _send_by_webhook(url: str, message: JsonObject, context: OperationContext) -> SlackResult:
    hide_url(context, url)
    response = await post_json(context, url, message)
    if response.status >= 300:
        said = response.body[:100].decode(errors="replace").strip()
        if response.status in {400, 403, 404, 410} and _ERROR.fullmatch(said):
            raise _refuse(said, response)
        raise refuse_answer("Slack", response, context)
    return SlackResult(channel=None, message_id=None)


async def _send_as_bot(parameters: SlackParameters, message: JsonObject, context: OperationContext) -> SlackResult:
    hide(context, str(parameters.token))
    message["channel"] = parameters.channel
    if parameters.thread is not None:
        message["thread_ts"] = parameters.thread
    url = f"{parameters.server.rstrip('/')}/chat.postMessage"
    response = await post_json(context, url, message, {"Authorization": f"Bearer {parameters.token}"})
    reply = read_reply(response)
    error = reply.get("error")
    if reply.get("ok") is False and isinstance(error, str) and _ERROR.fullmatch(error):
        raise _refuse(error, response)
    if response.status >= 300:
        raise refuse_answer("Slack", response, context)
    match reply:
        case {"ok": True, "channel": str(channel), "ts": str(ts)}:
            return SlackResult(channel=channel, message_id=ts)
        case _:
            raise FatalError("What answered is not Slack; check the parameter server.", code="response_invalid")


def _refuse(error: str, response: EgressResponse) -> RetryableError:
    return RetryableError(
        f"Slack refused the message: {error}.",
        code=f"slack_{error}",
        after_ms=response.retry_after_ms,
        by_default=error in _PASSING or response.status == 429,
    )
