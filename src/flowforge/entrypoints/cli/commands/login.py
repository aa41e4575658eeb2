"""`flowforge login`."""

import sys
from typing import Annotated, Any, Final, cast

import httpx2
import typer

from flowforge.entrypoints.cli.arguments import STDIN, read_secret_text
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.logins import Login, check_address, find_logins_file, store_login
from flowforge.kit.errors import DependencyError, NotPermittedError, RequestError
from flowforge.kit.values import JsonObject

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Sign in to a server.")

_TIMEOUT_S: Final = 30.0


@app.command()
def login(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="The server's address: https://flowforge.example.com.")],
    *,
    email: Annotated[str | None, typer.Option("--email", help="Asked for where it is left out.")] = None,
    token: Annotated[str | None, typer.Option("--token", help="An API key instead of a password; - reads it from stdin.")] = None,
) -> None:
    """Sign in to a server, for calls with --url.

    Asks for email and password (or reads the password from stdin). What proves the sign-in lies in the user's own config folder
    (~/.config/flowforge/logins.json), which only this user can read.
    """
    frame = frame_of(ctx)
    address = check_address(url)
    with httpx2.Client(base_url=f"{address}/api/v1", timeout=_TIMEOUT_S) as client:
        if token is not None:
            found = Login(read_secret_text("API key: ") if token == STDIN else token)
        else:
            found = _ask(client, email or _ask_email())
        person = _send(client, "GET", "/me", None, found.token)
    path = find_logins_file(frame.environ)
    store_login(path, address, found)
    who = str(person.get("email", ""))
    frame.output.confirm(f"Signed in to {address} as {who}.", {"url": address, "email": who})


def _ask_email() -> str:
    if not sys.stdin.isatty():
        raise UsageError("Give --email where nobody can be asked; the password is read from stdin.")
    return str(typer.prompt("Email", err=True))


def _ask(client: httpx2.Client, email: str) -> Login:
    body: JsonObject = {"email": email, "password": read_secret_text("Password: ")}
    try:
        told = _send(client, "POST", "/auth/token", body)
    except _CodeWantedError:
        if not sys.stdin.isatty():
            raise
        told = _send(client, "POST", "/auth/token", body | {"code": str(typer.prompt("Code of your authenticator", err=True))})
    return Login(str(told["access_token"]), str(told["refresh_token"]))


class _CodeWantedError(RequestError):
    """The account has a second factor."""


def _send(client: httpx2.Client, method: str, path: str, body: JsonObject | None, token: str = "") -> JsonObject:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        answer = client.request(method, path, json=body, headers=headers)
        told: Any = answer.json()
    except httpx2.HTTPError as fault:
        raise DependencyError(f"The server {client.base_url.host} cannot be reached: {fault}.") from fault
    except ValueError:
        raise DependencyError(f"What answers at {client.base_url.host} is no FlowForge server.") from None
    if answer.is_success and isinstance(told, dict):
        return cast("JsonObject", told)
    _refuse(answer.status_code, told)
    raise DependencyError(f"What answers at {client.base_url.host} is no FlowForge server.")


def _refuse(status: int, told: Any) -> None:
    try:
        message, codes = str(told["error"]["message"]), {str(detail["code"]) for detail in told["error"]["details"]}
    except (KeyError, TypeError):
        return
    if "code_required" in codes:
        raise _CodeWantedError(message)
    if status in {401, 403}:
        raise NotPermittedError(message)
    raise RequestError(message)
