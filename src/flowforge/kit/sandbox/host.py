"""What a script can use besides its language: one table, from which the editor's types are generated too."""

from dataclasses import dataclass
from typing import Final, Protocol

from flowforge.kit.values import JsonObject, JsonValue

CALLS_MAX: Final = 100
"""Most host calls of one script."""


class HostFunctions(Protocol):
    """What the script's calls do. The pool bounds their number."""

    async def request(self, method: str, url: JsonValue, options: JsonObject) -> JsonValue:
        """Carries out an HTTP request.

        Raises:
            HostFault: it failed; the script sees an exception.
        """
        ...


@dataclass(frozen=True, slots=True)
class HostName:
    """A global name of a script, or a function of one. Empty signatures: a value, or a name that the language does not have."""

    name: str
    javascript: str
    python: str
    description: str


_OPTIONS_JAVASCRIPT: Final = "url: string, options?: HttpOptions): Promise<HttpResponse>"
_OPTIONS_PYTHON: Final = "url: str, **options: Unpack[HttpOptions]) -> HttpResponse: ..."

HTTP_FUNCTIONS: Final = (
    *(
        HostName(
            f"http.{method}",
            f"{method}({_OPTIONS_JAVASCRIPT}",
            f"def {method}({_OPTIONS_PYTHON}",
            f"Sends a {method.upper()} request.",
        )
        for method in ("get", "post", "put", "patch", "delete")
    ),
    HostName(
        "http.request",
        f"request(method: string, {_OPTIONS_JAVASCRIPT}",
        f"def request(method: str, {_OPTIONS_PYTHON}",
        "Sends a request with any method.",
    ),
)
LOG_FUNCTIONS: Final = tuple(
    HostName(
        f"log.{level}",
        f"{level}(message: unknown, fields?: Record<string, unknown>): void",
        f"def {level}(message: object, **fields: object) -> None: ...",
        f"Writes a line of the level {level} to the step's log.",
    )
    for level in ("debug", "info", "warning", "error")
)
CONSOLE_FUNCTIONS: Final = tuple(
    HostName(
        f"console.{name}", f"{name}(...values: unknown[]): void", "", f"Writes a line of the level {level} to the step's log."
    )
    for name, level in (("debug", "debug"), ("log", "info"), ("info", "info"), ("warn", "warning"), ("error", "error"))
)
HTTP_OPTIONS: Final = (
    HostName("query", "Record<string, Scalar | Scalar[]>", "dict[str, Scalar | list[Scalar]]", "Query parameters."),
    HostName("headers", "Record<string, Scalar>", "dict[str, Scalar]", "Headers."),
    HostName("auth", "HttpAuth", "HttpAuth", "How to sign in: one of bearer, basic and api_key."),
    HostName("json", "unknown", "object", "The body, sent as JSON."),
    HostName("form", "Record<string, Scalar | Scalar[]>", "dict[str, Scalar | list[Scalar]]", "The body, sent as a form."),
    HostName("text", "string", "str", "The body, sent as it is."),
    HostName("expect", "number | number[]", "int | list[int]", "Statuses that count as success; without it every status does."),
    HostName(
        "response", '"auto" | "json" | "text" | "base64"', 'Literal["auto", "json", "text", "base64"]', "How to read the body."
    ),
    HostName("follow_redirects", "boolean", "bool", "Whether to follow redirects."),
)
"""The commonest parameters of the operation http.request; a call may give any of them."""
HTTP_RESPONSE: Final = (
    HostName("status", "number", "int", "The status code, whatever it is."),
    HostName("headers", "Record<string, string>", "dict[str, str]", "The headers, with names in small letters."),
    HostName("body", "any", "Any", "The body: a value if it is JSON, else text."),
    HostName("url", "string", "str", "Where the answer came from, after redirects."),
)
CONTEXT_FIELDS: Final = (
    HostName("run_id", "string", "str", "The id of the run."),
    HostName("step", "string", "str", "The id of the step."),
    HostName("attempt", "number", "int", "The number of this attempt, from 1."),
    HostName("idempotency_key", "string", "str", "The same for every attempt of this step."),
)
