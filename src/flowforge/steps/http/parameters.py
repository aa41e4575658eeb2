"""What `http.request` takes and gives."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from flowforge.kit.egress import find_header_fault
from flowforge.operations import IS_URL, MAY_SECRET, StrictModel

Scalar = bool | int | float | str | None
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
BodyFormat = Literal["auto", "json", "text", "base64", "file"]

Fields = dict[str, Scalar | list[Scalar]]


class BasicAuth(StrictModel):
    """User name and password (RFC 7617)."""

    user: str = Field(description="The user name; it cannot hold a colon.", pattern="^[^:]*$")
    password: str = Field(description="The password.")


class ApiKeyAuth(StrictModel):
    """A key in a header or in the query, as the server wants it."""

    header: str | None = Field(default=None, description="The header that carries the key.")
    query: str | None = Field(default=None, description="The query parameter that carries the key.")
    value: str = Field(description="The key.")

    @model_validator(mode="after")
    def _check_one_place(self) -> "ApiKeyAuth":
        if (self.header is None) == (self.query is None):
            raise ValueError("give exactly one of header and query")
        if self.header is not None:
            _refuse_header(self.header, "")
        return self


class Auth(StrictModel):
    """How to sign in: exactly one of the three."""

    bearer: str | None = Field(default=None, description="A token, sent as `Authorization: Bearer …`.")
    basic: BasicAuth | None = Field(default=None, description="User name and password.")
    api_key: ApiKeyAuth | None = Field(default=None, description="A key in a header or in the query.")

    @model_validator(mode="after")
    def _check_one_way(self) -> "Auth":
        if [self.bearer, self.basic, self.api_key].count(None) != 2:
            raise ValueError("give exactly one of bearer, basic and api_key")
        return self


class RequestParameters(StrictModel):
    """A request over HTTP. At most one of `json`, `form` and `text` is its body."""

    method: Method = Field(default="GET", description="The method, in capitals.")
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
    json_body: Annotated[pydantic.JsonValue, MAY_SECRET] = Field(
        default=None, alias="json", description="The body, sent as JSON; `null` is a body too."
    )
    form: Annotated[Fields | None, MAY_SECRET] = Field(
        default=None, description="The body, sent as an HTML form is (urlencoded)."
    )
    text: Annotated[str | None, MAY_SECRET] = Field(default=None, description="The body, sent as it is, in UTF-8.")
    expect: int | list[int] | None = Field(
        default=None, description="The status codes that count as success, one or a list; without it every one below 400."
    )
    response: BodyFormat = Field(
        default="auto",
        description="What the output's body is: parsed JSON, text, base64, or a file value; `auto`: JSON if the server says so, else text.",
    )
    follow_redirects: bool = Field(default=True, description="Whether to go where a redirect leads.")

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, Scalar]) -> dict[str, Scalar]:
        for name, value in headers.items():
            _refuse_header(name, write_scalar(value))
        return headers

    @model_validator(mode="after")
    def _check_one_body(self) -> "RequestParameters":
        if len(self.model_fields_set & {"json_body", "form", "text"}) > 1:
            raise ValueError("give at most one of json, form and text")
        return self


class RequestResult(StrictModel):
    """The server's answer."""

    status: int = Field(description="The status code.")
    headers: dict[str, str] = Field(description="Headers by their name in lower case; repeated ones joined by a comma.")
    body: pydantic.JsonValue = Field(
        description="Parsed JSON, text, base64 or a file value, as `response` asks; null for an empty JSON body."
    )
    url: str = Field(description="The URL that answered, after redirects.")


def write_scalar(value: Scalar) -> str:
    """As text in a query, form or header: `true`, `3`, `2.5`, the text itself; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _refuse_header(name: str, value: str) -> None:
    fault = find_header_fault(name, value)
    if fault is not None:
        raise PydanticCustomError(fault.fault.value, "{reason}", {"reason": fault.message})
