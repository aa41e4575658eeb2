"""`message.telegram`."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from flowforge.kit.egress import EgressResponse
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import (
    IS_URL,
    MAY_SECRET,
    ErrorCode,
    Example,
    FatalError,
    FileInput,
    Nature,
    OperationContext,
    RetryableError,
    StrictModel,
    operation,
)
from flowforge.steps.http.fields import write_scalar
from flowforge.steps.http.multipart import Part, build_multipart
from flowforge.steps.http.sources import make_source, measure
from flowforge.steps.message.posting import (
    POST_ERRORS,
    TOO_LONG,
    find_server_host,
    hide,
    post,
    post_json,
    read_reply,
    refuse_answer,
)
from flowforge.steps.stored import FILE_TOO_LARGE, STORED_ERRORS

_SERVER: Final = "https://api.telegram.org"
_TEXT_CHARACTERS: Final = 4_096
_CAPTION_CHARACTERS: Final = 1_024
_FILE_MAX_BYTES: Final = 50 * 2**20
_DESCRIPTION_CHARACTERS: Final = 500
_WAIT_MAX_MS: Final = 3_600_000


class TelegramParameters(StrictModel):
    """What to say, and to whom: `text`, `file`, or both."""

    token: Annotated[str, MAY_SECRET] = Field(description="The bot's token, as BotFather gave it.", min_length=1)
    chat_id: int | str = Field(description="The chat's number, or `@name` of a channel.")
    text: str | None = Field(
        default=None, description="The text, at most 4096 characters; with `file` its caption, at most 1024.", min_length=1
    )
    parse_mode: Literal["HTML", "MarkdownV2", "Markdown"] | None = Field(
        default=None, description="How the text is marked up; plain unless given."
    )
    file: FileInput | None = Field(default=None, description="A file value, sent as a document, at most 50 MiB.")
    reply_to: int | None = Field(default=None, description="The number of the message that this one answers.", ge=1)
    is_silent: bool = Field(default=False, alias="silent", description="Whether it arrives without a sound.")
    server: Annotated[str, IS_URL] = Field(default=_SERVER, description="Where the Bot API is.", min_length=1)

    @model_validator(mode="after")
    def _check_content(self) -> "TelegramParameters":
        if self.text is None and self.file is None:
            raise ValueError("give text or file, or both")
        return self


class TelegramResult(StrictModel):
    """The message that was sent."""

    message_id: int = Field(description="The message's number in its chat.")
    chat_id: int = Field(description="The chat's number.")


def _find_host(parameters: Mapping[str, Any]) -> str:
    return find_server_host(parameters, _SERVER)


@operation(
    "message.telegram",
    title="Telegram message",
    category="message",
    icon="send",
    nature=Nature.EFFECT,
    errors=(
        *POST_ERRORS,
        *STORED_ERRORS,
        FILE_TOO_LARGE,
        TOO_LONG,
        ErrorCode("file_changed", "The file changed while it was sent.", retryable=True),
        ErrorCode(
            "telegram_<code>", "Telegram refused the message with this code, such as telegram_400 for a chat that is not found."
        ),
    ),
    target=_find_host,
    examples=(
        Example(
            "Tell a chat",
            {
                "token": "${{ secrets.TELEGRAM_TOKEN }}",
                "chat_id": 42,
                "text": "Order 42 has been <b>shipped</b>.",
                "parse_mode": "HTML",
            },
            {"message_id": 7, "chat_id": 42},
        ),
    ),
)
async def send_to_telegram(parameters: TelegramParameters, context: OperationContext) -> TelegramResult:
    """Sends a text, or a file with a caption, as a Telegram bot.

    With `parse_mode`, characters of your data that mean something there are to be escaped. When Telegram asks to wait, the next attempt
    waits as long. Telegram knows no idempotency key: after an answer that was lost, another attempt may send the message twice.
    """
    hide(context, parameters.token)
    most = _TEXT_CHARACTERS if parameters.file is None else _CAPTION_CHARACTERS
    if len(parameters.text or "") > most:
        raise FatalError(f"The text has more than {most} characters; shorten it, or send it as a file.", code=TOO_LONG.code)
    method = "sendMessage" if parameters.file is None else "sendDocument"
    url = f"{parameters.server.rstrip('/')}/bot{quote(parameters.token, safe=':')}/{method}"
    if parameters.file is None:
        response = await post_json(context, url, _make_message(parameters, "text"))
    else:
        response = await _post_document(parameters, parameters.file, context, url)
    return _read_result(response, context)


def _make_message(parameters: TelegramParameters, text_field: str) -> JsonObject:
    message: JsonObject = {"chat_id": parameters.chat_id}
    if parameters.text is not None:
        message[text_field] = parameters.text
    if parameters.parse_mode is not None:
        message["parse_mode"] = parameters.parse_mode
    if parameters.reply_to is not None:
        message["reply_parameters"] = {"message_id": parameters.reply_to}
    if parameters.is_silent:
        message["disable_notification"] = True
    return message


async def _post_document(
    parameters: TelegramParameters, file: dict[str, JsonValue], context: OperationContext, url: str
) -> EgressResponse:
    parts = [
        Part.model_validate(
            {"name": name, "json": value} if isinstance(value, dict) else {"name": name, "value": _write_plain(value)}
        )
        for name, value in _make_message(parameters, "caption").items()
    ]
    parts.append(Part.model_validate({"name": "document", "file": file}))
    media_type, pieces = await asyncio.to_thread(build_multipart, parts, context, "")
    if measure(pieces) > _FILE_MAX_BYTES:
        raise FatalError(
            f"The file is larger than {format_size(_FILE_MAX_BYTES)}, which is what Telegram takes.", code=FILE_TOO_LARGE.code
        )
    return await post(context, url, make_source(pieces), media_type)


def _write_plain(value: JsonValue) -> str:
    return write_scalar(value) if isinstance(value, bool | int | float | str) else ""


def _read_result(response: EgressResponse, context: OperationContext) -> TelegramResult:
    match read_reply(response):
        case {"ok": True, "result": {"message_id": int(message_id), "chat": {"id": int(chat_id)}}}:
            return TelegramResult(message_id=message_id, chat_id=chat_id)
        case {"ok": False, "error_code": int(code), "description": str(description), **rest}:
            raise RetryableError(
                f"Telegram refused the message: {description[:_DESCRIPTION_CHARACTERS]}.",
                code=f"telegram_{code}",
                details={"parameters": rest.get("parameters")},
                after_ms=_read_wait(rest.get("parameters"), response),
                by_default=code == 429 or code >= 500,
            )
        case _ if response.status >= 300:
            raise refuse_answer("Telegram", response, context)
        case _:
            raise FatalError("What answered is not Telegram; check the parameter server.", code="response_invalid")


def _read_wait(parameters: JsonValue, response: EgressResponse) -> int | None:
    match parameters:
        case {"retry_after": int(seconds)} if seconds > 0:
            return min(seconds * 1_000, _WAIT_MAX_MS)
        case _:
            return response.retry_after_ms
