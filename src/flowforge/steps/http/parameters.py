"""What the operations for HTTP take alike, and what `http.request` takes and gives."""

from typing import Annotated, Final, Literal

import pydantic
from pydantic import Field, field_validator, model_validator

from flowforge.kit.limits import SizeBytes
from flowforge.operations import IS_URL, MAY_SECRET, FileInput, StrictModel
from flowforge.steps.durations import bound_duration
from flowforge.steps.http.fields import Fields, Scalar, refuse_header, write_scalar
from flowforge.steps.http.multipart import Part
from flowforge.steps.http.paging_models import Paging
from flowforge.steps.http.signing_models import Auth, ClientCertificateAuth

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
BodyFormat = Literal["auto", "json", "text", "base64", "file"]

FILE_DEFAULT_BYTES: Final = 100 * 2**20
FILE_MAX_BYTES: Final = 10 * 2**30
_BODIES: Final = {"json_body", "form", "text", "base64", "file", "multipart"}


class CallParameters(StrictModel):
    """Where a request goes, and as whom."""

    url: Annotated[str, IS_URL] = Field(
        description="An http or https URL; values inserted into it are percent-encoded.", min_length=1
    )
    query: Annotated[Fields, MAY_SECRET] = Field(
        default_factory=dict[str, "Scalar | list[Scalar]"],
        description="Query parameters, added to those of the URL; a list repeats the name, null leaves it out.",
    )
    headers: Annotated[dict[str, Scalar], MAY_SECRET] = Field(
        default_factory=dict[str, Scalar],
        description="Headers; null leaves one out. Host, Content-Length and the like are set by FlowForge.",
    )
    auth: Annotated[Auth | None, MAY_SECRET] = Field(
        default=None, description="How to sign in; dropped when a redirect leads to another host."
    )
    client_certificate: Annotated[ClientCertificateAuth | None, MAY_SECRET] = Field(
        default=None, description="The certificate by which the server knows the client (mutual TLS)."
    )
    authority: Annotated[str | None, MAY_SECRET] = Field(
        default=None,
        description="Certificates in PEM that are trusted beside the usual ones, for a server with an authority of its own.",
    )
    follow_redirects: bool = Field(default=True, description="Whether to go where a redirect leads.")
    http2: bool = Field(default=False, description="Whether an https server is offered HTTP/2, which it may choose.")

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, Scalar]) -> dict[str, Scalar]:
        for name, value in headers.items():
            refuse_header(name, write_scalar(value))
        return headers


class IfChanged(StrictModel):
    """What is known from the last time: from its `headers.etag` and `headers['last-modified']`. Both may be null the first time."""

    etag: str | None = Field(default=None, description="The ETag of the last answer, sent as If-None-Match.")
    modified: str | None = Field(default=None, description="The Last-Modified of the last answer, sent as If-Modified-Since.")

    @model_validator(mode="after")
    def _check_headers(self) -> "IfChanged":
        refuse_header("If-None-Match", self.etag or "")
        refuse_header("If-Modified-Since", self.modified or "")
        return self

    def list_headers(self) -> dict[str, str]:
        """The request's headers; none for what is not known yet."""
        conditions = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in conditions.items() if value}


class RequestParameters(CallParameters):
    """A request over HTTP. At most one of `json`, `form`, `text`, `base64`, `file` and `multipart` is its body."""

    method: Method = Field(default="GET", description="The method, in capitals.")
    json_body: Annotated[pydantic.JsonValue, MAY_SECRET] = Field(
        default=None, alias="json", description="The body, sent as JSON; `null` is a body too."
    )
    form: Annotated[Fields | None, MAY_SECRET] = Field(
        default=None, description="The body, sent as an HTML form is (urlencoded)."
    )
    text: Annotated[str | None, MAY_SECRET] = Field(default=None, description="The body, sent as it is, in UTF-8.")
    base64: str | None = Field(default=None, description="The body: bytes, written in base64.")
    file: FileInput | None = Field(
        default=None, description="The body: a file value, sent piece by piece with its own Content-Type."
    )
    multipart: Annotated[list[Part] | None, MAY_SECRET] = Field(
        default=None, description="The body, sent as a form with files is (multipart/form-data).", min_length=1, max_length=1_000
    )
    expect: int | list[int] | None = Field(
        default=None, description="The status codes that count as success, one or a list; without it every one below 400."
    )
    response: BodyFormat = Field(
        default="auto",
        description="What the output's body is: parsed JSON, text, base64, or a file value; `auto`: JSON if the server says so, else text.",
    )
    max_size: Annotated[SizeBytes, Field(ge=1, le=FILE_MAX_BYTES)] | None = Field(
        default=None,
        description="The largest answer, such as `2MiB`. A file: 100 MiB unless set, at most 10 GiB. All else: LIMIT_HTTP_BODY, or less.",
    )
    if_changed: IfChanged | None = Field(
        default=None, description="Asks only for what has changed since; if nothing has, the output's `is_changed` is false."
    )
    paging: Paging | None = Field(
        default=None, description="Fetches a list page by page and joins its items; with GET or POST, and answers in JSON."
    )
    cache: Annotated[str, bound_duration(1_000, 86_400_000)] | None = Field(
        default=None,
        description="For so long (1s to 1d) an equal request of the workspace gets this answer without being sent; with GET and HEAD.",
    )

    @model_validator(mode="after")
    def _check_one_body(self) -> "RequestParameters":
        given = self.model_fields_set & _BODIES
        if len(given) > 1:
            raise ValueError("give at most one of json, form, text, base64, file and multipart")
        return self

    @model_validator(mode="after")
    def _check_cache(self) -> "RequestParameters":
        if self.cache is not None and self.method not in {"GET", "HEAD"}:
            raise ValueError("cache works with GET and HEAD")
        if self.cache is not None and self.response == "file":
            raise ValueError("cache keeps no files: leave out response: file")
        return self

    @model_validator(mode="after")
    def _check_paging(self) -> "RequestParameters":
        if self.paging is None:
            return self
        if self.method not in {"GET", "POST"}:
            raise ValueError("paging works with GET and POST")
        if self.response not in {"auto", "json"} or self.if_changed is not None:
            raise ValueError("paging reads JSON, and goes neither with another response nor with if_changed")
        if self.paging.body_name is not None and not isinstance(self.json_body, dict):
            raise ValueError("a cursor that goes into the body needs an object as json")
        return self


def is_none(value: object) -> bool:
    """For fields of a result that are only there where they were asked for."""
    return value is None


class RequestResult(StrictModel):
    """The server's answer; with `paging` the last one, and what all of them gave."""

    status: int = Field(description="The status code.")
    headers: dict[str, str] = Field(description="Headers by their name in lower case; repeated ones joined by a comma.")
    body: pydantic.JsonValue = Field(
        description="Parsed JSON, text, base64 or a file value, as `response` asks; null for empty JSON, with paging, and for a 304."
    )
    url: str = Field(description="The URL that answered, after redirects.")
    is_changed: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="With `if_changed`: false if the server said that nothing has changed (304).",
    )
    items: list[pydantic.JsonValue] | None = Field(
        default=None, exclude_if=is_none, description="With `paging`: the items of all pages."
    )
    page_count: int | None = Field(default=None, exclude_if=is_none, description="With `paging`: how many pages were fetched.")
    is_complete: bool | None = Field(
        default=None, exclude_if=is_none, description="With `paging`: false if a limit ended it before the last page."
    )
