"""Every route of the server, each role, own and foreign workspaces, and nobody: who is let in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from tests.support.accounts_lab import AccountsLab, open_accounts_lab
from tests.support.people import ROLES, Scoped, make_person, make_workspace

import flowforge
from flowforge.identity.cookies import name_session_cookie
from flowforge.identity.endpoints import ROUTERS
from flowforge.identity.errors_accounts import ForeignWorkspaceError
from flowforge.identity.gate import make_anonymous
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.permissions import OF_INSTALLATION, PERMISSIONS
from flowforge.identity.sessions import beginning, open_session
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.web.callers import GUARDS, OPEN, Caller
from flowforge.web.calls import Call
from flowforge.web.errors import PermissionMissingError
from flowforge.web.routing import GUARD, Router, find_guard

TABLE = """
workflow | VOBU | admin | create update delete publish B, start OB, provision_users admin
run | VOBU | - | operate cancel OB, delete admin
project template form trigger connector report operation | VOBU | B | trigger:operate OB, connector:execute B, report:run OBU, operation:call OB
connection secret variable invitation | OB | B | use B
task approval document catalog file | RAOB | B | task:work RAO, task:assign O, approval:decide AO, document:submit RAO, document:review AO,\
 catalog:request RAOB, file:write RAOB
user group key session business_role entitlement settings scim certificate gateway event plugin system | OU | admin | business_role:assign O,\
 entitlement:reconcile O, system:operate O
audit access | U | admin | audit:verify U, access:explain U
workspace | all | admin | create admin, delete owner
"""
"""The contract, row by row: areas, who reads, who manages, other verbs; V viewer, R requester, A approver, O operator, B builder, U auditor."""

_LETTERS = dict(zip("VRAOBU", ("viewer", "requester", "approver", "operator", "builder", "auditor"), strict=True))


@cache
def read_table() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in TABLE.strip().splitlines():
        areas, read, manage, others = (cell.strip() for cell in line.split("|"))
        for area in areas.split():
            found[f"{area}:read"] = read_roles(read)
            if manage != "-":
                found[f"{area}:manage"] = read_roles(manage)
        for part in others.split(","):
            *verbs, roles = part.split()
            for verb in verbs:
                named = [verb] if ":" in verb else [f"{area}:{verb}" for area in areas.split()]
                found.update((permission, read_roles(roles)) for permission in named)
    return found


def read_roles(text: str) -> set[str]:
    if text in {"admin", "owner"}:
        return {"admin", "owner"} if text == "admin" else {"owner"}
    return {_LETTERS[letter] for letter in ("VRAOBU" if text == "all" else text)} | {"admin", "owner"}


@dataclass(frozen=True)
class ServerRoute:
    method: str
    path: str
    guard: str
    route: APIRoute

    @property
    def sample(self) -> str:
        """Its path with something in the place of each parameter."""
        return re.sub(r"\{[^}]+\}", "x", self.path)


@cache
def list_server_routers() -> tuple[Router, ...]:
    """Of all packages, wherever they are put together."""
    package = Path(flowforge.__file__).parent
    names = {path.relative_to(package).with_suffix("").as_posix() for path in package.glob("*/*endpoint*")}
    modules = [import_module(f"flowforge.{name.replace('/', '.')}") for name in sorted(names)]
    found = chain.from_iterable(getattr(module, "ROUTERS", ()) for module in modules)
    return tuple({id(router): router for router in found}.values())


def list_server_routes() -> list[ServerRoute]:
    return [*chain.from_iterable(map(_list_routes, list_server_routers()))]


def _list_routes(router: Router) -> Iterator[ServerRoute]:
    for route in router.routes.routes:
        assert isinstance(route, APIRoute)
        for method in sorted(route.methods or ()):
            yield ServerRoute(method, route.path, find_guard(route), route)


def test_the_table_of_permissions_is_the_contracts():
    assert set(read_table()) == PERMISSIONS


def test_every_route_has_one_guard_that_is_known():
    routes = list_server_routes()
    assert len(routes) > 40
    unknown = {f"{route.method} {route.path}": route.guard for route in routes if route.guard not in PERMISSIONS | GUARDS}
    assert not unknown
    assert all(list(route.route.openapi_extra or {}).count(GUARD) == 1 for route in routes)


def test_no_route_is_there_twice():
    named = [f"{route.method} {route.path}" for route in list_server_routes()]
    assert len(named) == len(set(named)), sorted({name for name in named if named.count(name) > 1})


def test_what_changes_something_needs_more_than_reading():
    reading = re.compile(r".*/(validate|preview|use|test|cards|diff|drift|next|export)$")
    loose = [
        f"{route.method} {route.path} [{route.guard}]"
        for route in list_server_routes()
        if route.method != "GET" and route.guard.endswith(":read") and not reading.match(route.path)
    ]
    assert not loose


def test_tok_34_what_is_asked_with_get_needs_no_more_than_reading():
    routes = [route for route in list_server_routes() if route.method == "GET" and route.guard not in GUARDS]
    others = {f"{route.path} [{route.guard}]" for route in routes if not route.guard.endswith(":read")}
    assert others == {"/api/v1/uploads/{upload_id} [file:write]", "/api/v1/access/explain [access:explain]"}, "these look, too"


class Doors:
    """The real gate, and people of each role who knock."""

    def __init__(self, lab: AccountsLab) -> None:
        self.lab = lab
        self.cookies: dict[tuple[str, str], str] = {}

    async def admit(self, role: str, place: str, guard: str, workspace: str = "") -> Caller:
        """`place`: the id of the workspace that the role holds in; empty: everywhere."""
        cookie = self.cookies.get((role, place))
        if cookie is None:
            cookie = self.cookies[role, place] = await self._sign_in(role, place)
        name = name_session_cookie(self.lab.parts.settings)
        headers = [(b"host", b"127.0.0.1:8000"), (b"cookie", f"{name}={cookie}".encode())]
        if workspace:
            headers.append((b"x-workspace", workspace.encode()))
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8_000),
            "scheme": "http",
            "state": {},
        }
        return await self.lab.accounts.gate.admit(HTTPConnection(scope), guard)

    async def _sign_in(self, role: str, place: str) -> str:
        user_id = await make_person(self.lab.parts.database, role, scope=Scoped(place))
        call = Call(self.lab.parts, make_anonymous("127.0.0.1"), "req_test")
        async with beginning(call, "test", "") as new, call.change() as session:
            user = await session.get(UserRow, user_id)
            assert user is not None
            opened = await open_session(session, call, user, new)
        return opened.token

    async def is_unseen(self, role: str, place: str, workspace: str) -> bool:
        """Whether the workspace is answered as one that does not exist."""
        with pytest.raises(ForeignWorkspaceError) as refused:
            await self.admit(role, place, "workspace:read", workspace)
        return workspace in refused.value.message

    async def is_let_in(self, role: str, place: str, guard: str, workspace: str = "") -> bool:
        try:
            await self.admit(role, place, guard, workspace)
        except PermissionMissingError:
            return False
        return True


def list_guards() -> list[str]:
    """Those that routes have, and every permission: the routes of later parts will have those."""
    return sorted({route.guard for route in list_server_routes()} - GUARDS | PERMISSIONS)


async def test_each_role_passes_the_guards_that_the_table_gives_it(tmp_path: Path):
    async with open_accounts_lab(tmp_path) as lab:
        doors = Doors(lab)
        for role in ROLES:
            wrong = [guard for guard in list_guards() if await doors.is_let_in(role, "", guard) != (role in read_table()[guard])]
            assert not wrong, role


async def test_a11_a_role_of_one_workspace_opens_nothing_of_another_or_of_the_installation(tmp_path: Path):
    async with open_accounts_lab(tmp_path) as lab:
        doors, own, foreign = Doors(lab), await make_workspace(lab.parts.database), await make_workspace(lab.parts.database)
        for role in ROLES:
            expected = {guard: role in read_table()[guard] and guard not in OF_INSTALLATION for guard in list_guards()}
            wrong = [guard for guard in list_guards() if await doors.is_let_in(role, own, guard, own) != expected[guard]]
            assert not wrong, role
            for elsewhere in (foreign, DEFAULT_WORKSPACE_ID, "ws_" + "1" * 26, "nowhere"):
                assert await doors.is_unseen(role, own, elsewhere)


async def test_tok_01_nobody_passes_any_route_that_is_not_open(tmp_path: Path):
    more = [router for router in list_server_routers() if not any(router is known for known in ROUTERS)]
    async with open_accounts_lab(tmp_path, more_routers=more) as lab:
        browser = lab.open_browser()
        wrong: dict[str, int] = {}
        for route in list_server_routes():
            if route.guard == OPEN:
                continue
            answer = await browser.client.request(route.method, route.sample, content=b"{")
            if answer.status_code != 401 or not answer.headers.get("www-authenticate"):
                wrong[f"{route.method} {route.path}"] = answer.status_code
        assert not wrong


async def test_a_role_without_the_right_is_refused_before_anything_is_read(tmp_path: Path):
    more = [router for router in list_server_routers() if not any(router is known for known in ROUTERS)]
    async with open_accounts_lab(tmp_path, more_routers=more) as lab:
        browser = await lab.enter(role="viewer")
        headers = {"origin": lab.origin, "x-csrf-token": browser.csrf}
        wrong: dict[str, int] = {}
        for route in list_server_routes():
            if route.guard in GUARDS or "viewer" in read_table()[route.guard]:
                continue
            answer = await browser.client.request(route.method, route.sample, content=b"{", headers=headers)
            if answer.status_code != 403:
                wrong[f"{route.method} {route.path}"] = answer.status_code
        assert not wrong
