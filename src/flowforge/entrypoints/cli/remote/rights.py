"""`flowforge access` and `flowforge roles` on a server."""

from contextlib import suppress
from typing import cast

from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.commands import access, roles
from flowforge.entrypoints.cli.failures import CommandFailedError
from flowforge.entrypoints.cli.remote.connection import Query, Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.entrypoints.cli.remote.people import find_user
from flowforge.kit.errors import AlreadyExistsError
from flowforge.kit.values import JsonObject

_EVERYWHERE = "installation"


def explain_access(server: Server, person: str, permission: str, *, workspace: str | None) -> None:
    query: Query = {"user": str(find_user(server, person)["id"]), "permission": permission}
    told = server.get("/access/explain", {**query, **_find_object(server, workspace)})
    server.output.write_rows(map(_show_reason, cast("list[JsonObject]", told["because"])), access.COLUMNS)
    if told["allowed"] is not True:
        raise CommandFailedError(ExitCode.FAILED)


def find_who_can_access(server: Server, permission: str, *, workspace: str | None) -> None:
    query: Query = {"permission": permission, **_find_object(server, workspace)}
    rows: list[JsonObject] = []
    cursor: str | None = None
    while True:
        page = server.get("/access/who-can", {**query, "cursor": cursor})
        rows += map(_show_reason, cast("list[JsonObject]", page["because"]))
        cursor = cast("str | None", page["next_cursor"])
        if cursor is None:
            break
    server.output.write_rows(rows, access.COLUMNS, empty="Nobody may do this.")


def _show_reason(reason: JsonObject) -> JsonObject:
    group = reason["group"]
    return reason | {"group": group["name"] if isinstance(group, dict) else None}


def _find_object(server: Server, workspace: str | None) -> dict[str, str]:
    return {} if workspace is None else {"object": _find_scope(server, workspace)}


def _find_scope(server: Server, workspace: str | None) -> str:
    return _EVERYWHERE if workspace is None else f"workspace:{server.get(make_path('workspaces', workspace))['id']}"


def list_role(server: Server) -> None:
    server.output.write_rows(server.list_rows("/roles"), roles.COLUMNS)


def show_role(server: Server, name: str) -> None:
    held = cast("list[str]", server.get(make_path("roles", name))["permissions"])
    rows: list[JsonObject] = [{"permission": permission} for permission in held]
    server.output.write_rows(rows, (field("permission", "permission"),), empty="This role holds nothing.")


def given_role(server: Server, *, person: str | None) -> None:
    query: Query = {} if person is None else {"principal": str(find_user(server, person)["id"])}
    rows = [
        {name: row[name] for name in ("principal", "role", "scope", "created_at")}
        for row in server.list_rows("/role-assignments", query)
    ]
    server.output.write_rows(rows, roles.GIVEN_COLUMNS, empty="Nobody has a role.")


def give_role(server: Server, person: str, role: str, *, workspace: str | None) -> None:
    told: JsonObject = {
        "principal": str(find_user(server, person)["id"]),
        "role": role,
        "scope": _find_scope(server, workspace),
    }
    with suppress(AlreadyExistsError):  # it was so
        server.ask("POST", "/role-assignments", told)
    server.output.confirm(f"{person} has the role {role} ({told['scope']}).", told)


def take_role(server: Server, person: str, role: str, *, workspace: str | None) -> None:
    told: JsonObject = {
        "principal": str(find_user(server, person)["id"]),
        "role": role,
        "scope": _find_scope(server, workspace),
    }
    query: Query = {"principal": str(told["principal"]), "role": role, "scope": str(told["scope"])}
    for row in server.list_rows("/role-assignments", query):
        server.ask("DELETE", make_path("role-assignments", str(row["id"])))
    server.output.confirm(f"{person} does not have the role {role} ({told['scope']}).", told)
