"""`message.sms`."""

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal, cast

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.border import encode
from flowforge.kit.values import JsonValue
from flowforge.operations import MAY_SECRET, ErrorCode, Example, Nature, OperationContext, RetryableError, StrictModel, operation
from flowforge.steps.http.answers import is_expected, make_excerpt, read_body, refuse_status
from flowforge.steps.http.fields import Fields, Scalar, write_form
from flowforge.steps.http.paging_models import BodyPath, find_in_body
from flowforge.steps.http.parameters import CallParameters
from flowforge.steps.http.sending import CALL_ERRORS, Call, Caller, find_host

_PLACE: Final = re.compile(r"\{(to|text|from)\}")


class Acceptance(StrictModel):
    """What a good answer says, for gateways that answer 200 in any case."""

    body_path: BodyPath = Field(alias="from", description="Where it stands in the body, as JMESPath: `messages[0].status`.")
    equals: Scalar | list[Scalar] = Field(description="The value there, or a list of those that are good.")


def _list_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in cast("dict[str, object]", value).values():
            yield from _list_texts(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _list_texts(item)


class SmsParameters(CallParameters):
    """What to say, to whom, and how the gateway wants to be told."""

    method: Literal["POST", "PUT", "GET"] = Field(default="POST", description="The method, in capitals.")
    to: str = Field(
        description="The number, as `+` with country code (E.164): `+4915112345678`.", pattern=r"^\+[1-9][0-9]{6,14}$"
    )
    text: str = Field(
        description="The text; a gateway cuts it into pieces of 153 or 67 characters.", min_length=1, max_length=1_600
    )
    sender: str | None = Field(
        default=None,
        alias="from",
        description="The sender, a number or a name, if the gateway takes one.",
        min_length=1,
        max_length=50,
    )
    json_fields: Annotated[dict[str, pydantic.JsonValue] | None, MAY_SECRET] = Field(
        default=None,
        alias="json",
        description="The JSON body that the gateway wants; `{to}`, `{text}` and `{from}` in its texts are filled in.",
    )
    form: Annotated[Fields | None, MAY_SECRET] = Field(
        default=None, description="The form that the gateway wants, filled in as `json` is; `query` is filled in too."
    )
    expect: int | list[int] | None = Field(
        default=None, description="The status codes that count as success, one or a list; without it every one below 400."
    )
    accepted: Acceptance | None = Field(
        default=None, description="What the answer must say besides; else the step fails with sms_refused."
    )
    id_from: BodyPath | None = Field(default=None, description="Where the message's id stands in the answer, as JMESPath.")

    @model_validator(mode="after")
    def _check_template(self) -> "SmsParameters":
        if self.json_fields is not None and self.form is not None:
            raise ValueError("give at most one of json and form")
        if self.method == "GET" and (self.json_fields is not None or self.form is not None):
            raise ValueError("with GET, the fields go into query")
        written = "\n".join(_list_texts([self.json_fields, self.form, self.query]))
        missing = [name for name in ("{to}", "{text}") if name not in written]
        if missing:
            raise ValueError(f"{' and '.join(missing)} must stand in json, form or query, where the gateway wants it")
        return self


class SmsResult(StrictModel):
    """What the gateway said."""

    status: int = Field(description="The status code.")
    message_id: pydantic.JsonValue = Field(description="The message's id, from where `id_from` says; null without it.")
    body: pydantic.JsonValue = Field(description="The answer, as JSON if the server says so, else as text.")


@operation(
    "message.sms",
    title="Text message (SMS)",
    category="message",
    icon="smartphone",
    nature=Nature.EFFECT,
    errors=(*CALL_ERRORS, ErrorCode("sms_refused", "The gateway's answer does not say what `accepted` asks for.")),
    target=find_host,
    examples=(
        Example(
            "Send a text message by a gateway that takes a form",
            {
                "url": "https://sms.example.com/2010/Messages",
                "auth": {"basic": {"user": "AC1", "password": "${{ secrets.SMS_KEY }}"}},
                "to": "+4915112345678",
                "from": "Shop",
                "text": "Order 42 has been shipped.",
                "form": {"To": "{to}", "From": "{from}", "Body": "{text}"},
                "id_from": "sid",
            },
            {"status": 201, "message_id": "SM1", "body": {"sid": "SM1", "status": "queued"}},
        ),
    ),
)
async def send_sms(parameters: SmsParameters, context: OperationContext) -> SmsResult:
    """Sends a text message by any gateway that is told over HTTP.

    `json`, `form` and `query` have the gateway's own field names, with `{to}`, `{text}` and `{from}` where the values go. The gateway gets
    an `Idempotency-Key`, the same at every attempt; one that does not know it may send a message twice after an answer that was lost.
    """
    content_type, body = _build_body(parameters)
    headers = {} if content_type is None else {"Content-Type": content_type}
    query = {name: _fill_field(value, parameters) for name, value in parameters.query.items()}
    response = await Caller(parameters, context).exchange(Call(parameters.method, parameters.url, headers, query, body))
    if not is_expected(response.status, parameters.expect):
        raise refuse_status(response, context)
    answer = read_body(response, "auto", context)
    if parameters.accepted is not None and not _is_accepted(parameters.accepted, answer):
        raise RetryableError(
            "The gateway did not accept the message; its answer is in details.",
            code="sms_refused",
            details={"status": response.status, "body": make_excerpt(response, context)},
            by_default=False,
        )
    message_id = None if parameters.id_from is None else _find(parameters.id_from, answer)
    return SmsResult(status=response.status, message_id=message_id, body=answer)


def _build_body(parameters: SmsParameters) -> tuple[str | None, bytes | None]:
    if parameters.json_fields is not None:
        return "application/json", encode(_fill(parameters.json_fields, parameters))
    if parameters.form is not None:
        filled = {name: _fill_field(value, parameters) for name, value in parameters.form.items()}
        return "application/x-www-form-urlencoded", write_form(filled)
    return None, None


def _fill(value: JsonValue, parameters: SmsParameters) -> JsonValue:
    """In one pass: what is filled in is not looked at again."""
    if isinstance(value, str):
        return _fill_text(value, parameters)
    if isinstance(value, list):
        return [_fill(item, parameters) for item in value]
    if isinstance(value, dict):
        return {name: _fill(item, parameters) for name, item in value.items()}
    return value


def _fill_field(value: Scalar | list[Scalar], parameters: SmsParameters) -> Scalar | list[Scalar]:
    if isinstance(value, list):
        return [_fill_text(item, parameters) if isinstance(item, str) else item for item in value]
    return _fill_text(value, parameters) if isinstance(value, str) else value


def _fill_text(text: str, parameters: SmsParameters) -> str:
    values = {"to": parameters.to, "text": parameters.text, "from": parameters.sender or ""}
    return _PLACE.sub(lambda place: values[place[1]], text)


def _is_accepted(accepted: Acceptance, answer: JsonValue) -> bool:
    found = _find(accepted.body_path, answer)
    good = accepted.equals if isinstance(accepted.equals, list) else [accepted.equals]
    return any(found == value and isinstance(found, bool) == isinstance(value, bool) for value in good)


def _find(path: str, answer: JsonValue) -> JsonValue:
    try:
        return find_in_body(path, answer)
    except ValueError:
        return None  # the message has been sent: an odd answer is no reason to send it again
