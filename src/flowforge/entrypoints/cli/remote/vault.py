"""`flowforge secrets`, `flowforge variables` and `flowforge keyring` on a server."""

from typing import cast

from flowforge.entrypoints.cli.arguments import STDIN, read_loose, read_secret_text
from flowforge.entrypoints.cli.commands import keyring, secrets, variables
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.values import JsonObject, JsonValue


def list_secret(server: Server) -> None:
    empty = "There is no secret; `flowforge secrets set NAME` makes one."
    server.output.write_rows(server.list_rows("/secrets"), secrets.COLUMNS, empty=empty)


def set_secret(server: Server, name: str, *, hosts: list[str] | None) -> None:
    body: JsonObject = {"value": read_secret_text(f"Value of {name}: "), "hosts": [*(hosts or ())]}
    secret = cast("JsonObject", server.ask("PUT", make_path("secrets", name), body))
    server.output.confirm(f"The secret {name} is set (version {secret['version']}).", secret)


def delete_secret(server: Server, name: str) -> None:
    server.ask("DELETE", make_path("secrets", name))
    server.output.confirm(f"The secret {name} is gone.", {"name": name, "set": False})


def list_variable(server: Server) -> None:
    empty = "There is no variable; `flowforge variables set NAME VALUE` makes one."
    server.output.write_rows(server.list_rows("/variables"), variables.COLUMNS, empty=empty)


def set_variable(server: Server, name: str, value: str, *, is_text: bool) -> None:
    text = variables.read_stdin() if value == STDIN else value
    parsed: JsonValue = text if is_text else read_loose(text, server.limits)
    variable = cast("JsonObject", server.ask("PUT", make_path("variables", name), {"value": parsed}))
    server.output.confirm(f"The variable {name} is set (version {variable['version']}).", variable)


def delete_variable(server: Server, name: str) -> None:
    server.ask("DELETE", make_path("variables", name))
    server.output.confirm(f"The variable {name} is gone.", {"name": name, "set": False})


def rotate(server: Server) -> None:
    """The server's settings say which key is the current one; here what another has sealed is sealed with it."""
    keyring.tell_done(server.output, cast("JsonObject", server.ask("POST", "/keyring/reencrypt")))
