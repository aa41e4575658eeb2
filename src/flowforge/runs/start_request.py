"""What a start over HTTP says: its body, its `wait`, its `Idempotency-Key`."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qsl

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic import ValidationError as PydanticError
from pydantic_core import PydanticCustomError

from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.limits import Limits
from flowforge.web.bodies import Body, JsonField, TitleAdapter, read_json, show
from flowforge.web.errors import HeaderInvalidError, ParameterError
from flowforge.web.faults import read_faults
from flowforge.web.waiting import read_wait

KEY_HEADER: Final = "Idempotency-Key"
KEY_LENGTH_MAX: Final = 255
LABELS_MAX: Final = 50
PRIORITY_MAX: Final = 9
DRAFT: Final = "draft"
_KEY: Final = re.compile(rb"[\x21-\x7e]{1,255}")
_KNOWN_PARAMETERS: Final = frozenset({"wait", "workspace"})

LabelText = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(TitleAdapter.validate_python)]
"""As `Title`, but shorter: runs are found by it."""


class StartBody(Body):
    """Which workflow, with which input, and what the run is to be found by."""

    model_config = show({"workflow": "purchase-orders", "input": {}, "labels": {"region": "north"}, "subject": "order-4711"})

    workflow: str | None = Field(default=None, min_length=1, max_length=200, description="Name or id.", examples=["order-intake"])
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | Literal["draft"] | None = Field(
        default=None, description="A version's number, or `draft`; else the published one.", examples=[3]
    )
    document: JsonField = Field(
        default=None, description="A whole definition in place of `workflow`; it needs workflow:create too."
    )
    input: JsonField = Field(default=None, description="What the workflow's input asks for.", examples=[{"order": 4711}])
    labels: dict[LabelText, LabelText] = Field(
        default_factory=dict[LabelText, LabelText], max_length=LABELS_MAX, examples=[{"region": "north"}]
    )
    subject: LabelText | None = Field(default=None, description="What the run is about.", examples=["order-4711"])
    priority: int = Field(default=5, ge=0, le=PRIORITY_MAX, description="0 is first.")
    use_mocks: bool = Field(default=False, description="Steps give their `mock` instead of running.")

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        if (self.workflow is None) == (self.document is None):
            raise PydanticCustomError("field_missing", "Name a `workflow`, or send a `document`, not both.")
        if self.document is not None and self.version is not None:
            raise PydanticCustomError("field_unknown", "A `document` has no `version`.")
        return self


class BodyInvalidError(ValidationError):
    """The body does not have the fields that it should."""

    def __init__(self, details: Sequence[Detail]) -> None:
        places = ", ".join(dict.fromkeys(detail.field or "the body" for detail in details))
        super().__init__(f"The request cannot be used as it is: {places}.", details)


def read_start_body(data: bytes, limits: Limits) -> StartBody:
    """Raises BadRequestError, JsonRefusedError, PayloadTooLargeError (`read_json`), BodyInvalidError."""
    if not data:
        message = "A body is required."
        raise BodyInvalidError([Detail("", message, "body_missing")])
    value = read_json(data, limits)
    try:
        return StartBody.model_validate(value)
    except PydanticError as fault:
        errors = [{**error, "loc": ("body", *error["loc"])} for error in fault.errors(include_url=False)]
        raise BodyInvalidError(read_faults(errors)) from None


@lru_cache(maxsize=256)
def read_start_query(query: bytes) -> int:
    """The `wait` of the query, in milliseconds.

    Raises:
        ParameterError: `parameter_unknown`, `parameter_repeated`, or `wait` is no length of time up to 60 s.
    """
    if not query:
        return 0
    found: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in _KNOWN_PARAMETERS:
            raise ParameterError(name[:80], f"There is no parameter {name[:80]!r} here.", "parameter_unknown")
        if name in found:
            raise ParameterError(name, "This parameter may stand once only.", "parameter_repeated")
        found[name] = value
    return read_wait(found.get("wait"))


def read_key(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The Idempotency-Key.

    Raises:
        HeaderInvalidError: it is empty, longer than 255 characters, holds others than visible ASCII, or stands twice.
    """
    given = [value for name, value in headers if name == b"idempotency-key"]
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise HeaderInvalidError(KEY_HEADER, f"{KEY_HEADER} is 1 to {KEY_LENGTH_MAX} visible ASCII characters, sent once.")
    return given[0].decode()


def find_header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The first header of this name (in lower case)."""
    return next((value.decode("latin-1") for given, value in headers if given == name), None)
