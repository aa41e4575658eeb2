"""A small fixed catalog, so that the fixtures of the language do not change with what is installed."""

from functools import cache
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic import JsonValue as AnyJson

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.compiler import Compilation, compile_document
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.operations import IS_LITERAL, IS_URL, MAY_SECRET, Exit, Nature, OperationContext, Registry, StrictModel, operation


class BasicAuth(StrictModel):
    kind: Literal["basic"]
    user: str
    password: Annotated[str, MAY_SECRET]


class BearerAuth(StrictModel):
    kind: Literal["bearer"]
    token: Annotated[str, MAY_SECRET]


class Query(StrictModel):
    code: Annotated[str, IS_LITERAL]
    values: list[AnyJson] = Field(default_factory=list[AnyJson])


class FetchParameters(StrictModel):
    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET"
    url: Annotated[str, IS_URL]
    query: dict[str, AnyJson] = Field(default_factory=dict)
    headers: Annotated[dict[str, str], MAY_SECRET] = Field(default_factory=dict)
    json_body: AnyJson = Field(default=None, alias="json")
    text: str | None = None
    code: Annotated[str | None, IS_LITERAL] = None
    queries: list[Query] = Field(default_factory=list[Query])
    auth: Annotated[BasicAuth | BearerAuth, Field(discriminator="kind")] | None = None
    expect: tuple[Annotated[int, Field(ge=100, le=599)], ...] = ()


class FetchResult(StrictModel):
    status: int
    headers: dict[str, str]
    body: AnyJson
    url: str


class ReserveParameters(StrictModel):
    sku: str = Field(min_length=1)
    quantity: Annotated[int, Field(ge=1, le=1000)]


class ReserveResult(StrictModel):
    id: str


class ReleaseParameters(StrictModel):
    reservation: str


class MailParameters(StrictModel):
    to: str
    subject: str
    text: str

    @field_validator("to")
    @classmethod
    def _refuse_blank(cls, value: str) -> str:
        if " " in value:
            raise ValueError("an address has no blanks")
        return value


class LookUpParameters(StrictModel):
    key: str


class HashParameters(StrictModel):
    algorithm: Literal["sha256", "sha512"] = "sha256"
    text: str


@operation("http.request", title="HTTP request", category="http", icon="globe", nature=Nature.EFFECT)
async def fetch(parameters: FetchParameters, context: OperationContext) -> FetchResult:
    """Calls another server."""
    return FetchResult(status=200, headers={}, body=None, url=parameters.url)


@operation("email.send", title="Send email", category="email", icon="mail", nature=Nature.EFFECT)
async def send(parameters: MailParameters, context: OperationContext) -> None:
    """Sends a message."""


@operation("connector.erp.reserve_stock", title="Reserve stock", category="erp", icon="box", nature=Nature.EFFECT)
async def reserve(parameters: ReserveParameters, context: OperationContext) -> ReserveResult:
    """Reserves stock."""
    return ReserveResult(id=parameters.sku)


@operation("connector.erp.release_stock", title="Release stock", category="erp", icon="box", nature=Nature.EFFECT)
async def release(parameters: ReleaseParameters, context: OperationContext) -> None:
    """Releases stock."""


@operation(
    "cache.look_up",
    title="Look up",
    category="cache",
    icon="search",
    nature=Nature.EFFECT,
    ports=("found", "missing"),
    result=None,
)
async def look_up(parameters: LookUpParameters, context: OperationContext) -> Exit:
    """Leaves by `found` or by `missing`."""
    return Exit("found", parameters.key)


@operation("crypto.hash", title="Hash", category="crypto", icon="hash", nature=Nature.PURE)
def hash_text(parameters: HashParameters) -> str:
    """A hash that is none."""
    return f"{parameters.algorithm}:{len(parameters.text)}"


@cache
def catalog() -> Registry:
    found = Registry()
    for each in (fetch, send, reserve, release, look_up, hash_text):
        found.register(each)
    return found


def compile_text(source: bytes | str | JsonObject, *, limits: Limits | None = None, as_json: bool = False) -> Compilation:
    """Compiles with this catalog and, if nothing else is said, the default limits."""
    text_format = DocumentFormat.JSON if as_json else DocumentFormat.YAML
    return compile_document(source, catalog(), limits or Limits(), text_format=text_format)
