"""What a server answered, as a step's output or error."""

import re
from base64 import b64encode
from typing import Final

from flowforge.kit.border import JsonRefusedError, decode_untrusted
from flowforge.kit.egress import EgressFault, EgressResponse
from flowforge.kit.limits import Limits
from flowforge.kit.masking import cut_excerpt
from flowforge.kit.values import JsonValue
from flowforge.operations import OperationContext, RetryableError
from flowforge.steps.outbound import is_passing

ERROR_BODY_BYTES: Final = 16 * 1_024
ANSWER_LIMITS: Final = Limits(body_max_bytes=2**30)
"""The client has bounded the size already."""
_CHARSET: Final = re.compile(
    r"utf-?(8|16|32)(le|be)?|us-ascii|ascii|iso-8859-\d{1,2}|latin-?1|(windows-|cp)125\d|shift_jis|euc-(jp|kr)|gbk|gb2312|gb18030|big5|koi8-[ru]"
)
"""Python knows many more, some of which are no charsets or take a time that grows with the square of the text."""


def is_expected(status: int, expect: int | list[int] | None) -> bool:
    """Whether the status counts as success; every one below 400 does, unless others are listed."""
    if expect is None:
        return status < 400
    return status in ([expect] if isinstance(expect, int) else expect)


def refuse_status(response: EgressResponse, context: OperationContext) -> RetryableError:
    """The error `http_<status>`; another attempt is expected to help for 408, 425, 429 and 5xx."""
    status = response.status
    return RetryableError(
        f"{response.url} answered with the status {status}.",
        code=f"http_{status}",
        details={
            "status": status,
            "url": response.url,
            "headers": dict(response.headers),
            "body": _read_error_body(response, context),
        },
        after_ms=response.retry_after_ms,
        by_default=is_passing(status),
    )


def _read_error_body(response: EgressResponse, context: OperationContext) -> JsonValue:
    if is_json(response) and len(response.body) <= ERROR_BODY_BYTES:
        try:
            return decode_untrusted(response.body, ANSWER_LIMITS)
        except JsonRefusedError:
            return make_excerpt(response, context)
    return make_excerpt(response, context)


def read_body(response: EgressResponse, wanted: str, context: OperationContext) -> JsonValue:
    """The body as `response` asks for it. Raises RetryableError (`response_invalid`) for what is no JSON where it should be."""
    if wanted == "base64":
        return b64encode(response.body).decode()
    if wanted == "json" or (wanted == "auto" and is_json(response)):
        return parse_json(response, context)
    return read_text(response)


def parse_json(response: EgressResponse, context: OperationContext) -> JsonValue:
    """The body as JSON, null for an empty one. Raises RetryableError (`response_invalid`)."""
    if not response.body.strip():
        return None
    try:
        return decode_untrusted(response.body, ANSWER_LIMITS)
    except JsonRefusedError as error:
        raise RetryableError(
            f"{response.url} promised JSON, but: {error.message}",
            code=EgressFault.RESPONSE_INVALID.value,
            details={"status": response.status, "url": response.url, "excerpt": make_excerpt(response, context)},
            by_default=False,
        ) from None


def is_json(response: EgressResponse) -> bool:
    """Whether the server says so."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def read_text(response: EgressResponse) -> str:
    """The body as text in its charset; UTF-8 unless the server names another."""
    _, _, parameters = response.headers.get("content-type", "").partition("charset=")
    charset = parameters.partition(";")[0].strip().strip("\"'").lower()
    return response.body.decode(charset if _CHARSET.fullmatch(charset) else "utf-8", errors="replace")


def make_excerpt(response: EgressResponse, context: OperationContext) -> str:
    """The beginning of the body for people, masked, at most 1 KiB."""
    return cut_excerpt(context.masker.mask(read_text(response)))
