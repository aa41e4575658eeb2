"""`message.webhook`."""

import hashlib
import hmac
from base64 import b64encode
from typing import Annotated, Final

import pydantic
from pydantic import Field, field_validator

from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.operations import (
    IS_URL,
    MAY_SECRET,
    ErrorCode,
    Example,
    FatalError,
    Nature,
    OperationContext,
    StrictModel,
    operation,
)
from flowforge.steps.encoded import parse_base64
from flowforge.steps.http.answers import is_expected
from flowforge.steps.http.fields import Scalar, refuse_header, write_scalar
from flowforge.steps.http.sending import find_host
from flowforge.steps.message.posting import POST_ERRORS, hide, post, refuse_answer

_PREFIX: Final = "whsec_"
_OWN_HEADERS: Final = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "content-type"})


class WebhookParameters(StrictModel):
    """What to tell, and whom."""

    url: Annotated[str, IS_URL] = Field(
        description="An http or https URL; values inserted into it are percent-encoded.", min_length=1
    )
    data: pydantic.JsonValue = Field(description="What is told: the body, or with `event` its field `data`.")
    event: str | None = Field(
        default=None,
        description="The event's type, such as `order.shipped`: the body is then `{type, timestamp, data}`.",
        min_length=1,
        max_length=200,
    )
    secret: Annotated[str | list[str], MAY_SECRET] = Field(
        description="The key that both sides know: `whsec_` and base64, or any text; a list while it is being replaced, the new one first.",
        min_length=1,
        max_length=1_000,
    )
    headers: Annotated[dict[str, Scalar], MAY_SECRET] = Field(
        default_factory=dict[str, Scalar], description="More headers; null leaves one out."
    )
    expect: int | list[int] | None = Field(
        default=None, description="The status codes that count as success; without it 200 to 299."
    )

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, Scalar]) -> dict[str, Scalar]:
        for name, value in headers.items():
            refuse_header(name, write_scalar(value))
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"{name} is set by the operation itself")
        return headers


class WebhookResult(StrictModel):
    """That the message was taken."""

    status: int = Field(description="The status code.")
    message_id: str = Field(description="The message's id (`webhook-id`), the same at every attempt.")


@operation(
    "message.webhook",
    title="Signed webhook",
    category="message",
    icon="webhook",
    nature=Nature.EFFECT,
    errors=(*POST_ERRORS, ErrorCode("secret_invalid", "The secret begins with whsec_, but what follows is no base64.")),
    target=find_host,
    examples=(
        Example(
            "Tell another program of an order",
            {
                "url": "https://partner.example.com/hooks",
                "event": "order.shipped",
                "data": {"id": 42},
                "secret": "${{ secrets.PARTNER_KEY }}",
            },
            {"status": 204, "message_id": "msg_5d2b0f0b9d9b4a3f8c1d2e3f4a5b6c7d"},
            varies=True,
        ),
    ),
)
async def send_webhook(parameters: WebhookParameters, context: OperationContext) -> WebhookResult:
    """Sends JSON to another program, signed as Standard Webhooks 1.0 says (standardwebhooks.com).

    The headers are `webhook-id` (the same at every attempt, so that the receiver can drop a second delivery), `webhook-timestamp` and
    `webhook-signature` (`v1`, HMAC-SHA-256). Redirects are not followed.
    """
    secrets = parameters.secret if isinstance(parameters.secret, list) else [parameters.secret]
    hide(context, *secrets)
    now_ms = context.now_ms()
    body = encode(_make_body(parameters, now_ms))
    message_id = "msg_" + hashlib.blake2b(context.idempotency_key.encode(), digest_size=16).hexdigest()
    signed = f"{message_id}.{now_ms // 1_000}.".encode() + body
    headers = {name: write_scalar(value) for name, value in parameters.headers.items() if value is not None}
    headers["webhook-id"] = message_id
    headers["webhook-timestamp"] = str(now_ms // 1_000)
    headers["webhook-signature"] = " ".join(_sign(secret, signed) for secret in secrets)
    response = await post(context, parameters.url, body, "application/json", headers)
    is_taken = 200 <= response.status < 300 if parameters.expect is None else is_expected(response.status, parameters.expect)
    if not is_taken:
        raise refuse_answer("The receiver", response, context)
    return WebhookResult(status=response.status, message_id=message_id)


def _make_body(parameters: WebhookParameters, now_ms: int) -> JsonValue:
    if parameters.event is None:
        return parameters.data
    body: JsonObject = {"type": parameters.event, "timestamp": format_timestamp_ms(now_ms), "data": parameters.data}
    return body


def _sign(secret: str, signed: bytes) -> str:
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = parse_base64(secret.removeprefix(_PREFIX))
        except ValueError:
            raise FatalError("secret: what follows whsec_ is no base64; copy it anew.", code="secret_invalid") from None
    return "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
