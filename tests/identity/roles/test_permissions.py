"""The table of permissions."""

import re
from pathlib import Path

import pytest

from flowforge.identity.permissions import (
    BUILT_IN_ROLES,
    OF_INSTALLATION,
    PERMISSIONS,
    ROLE_TITLES,
    ROLES_BY_PERMISSION,
)

AREAS = (
    "workflow run project template form trigger connector report operation connection secret variable "
    "invitation task approval document catalog file user group key session business_role entitlement settings "
    "scim certificate gateway event plugin system audit access workspace"
)


def test_every_area_can_be_read_and_is_known():
    assert {permission.partition(":")[0] for permission in PERMISSIONS} == set(AREAS.split())
    assert {f"{area}:read" for area in AREAS.split()} <= PERMISSIONS
    assert {f"{area}:manage" for area in AREAS.split() if area != "run"} <= PERMISSIONS


def test_owners_may_everything_and_admins_all_but_one_thing():
    assert BUILT_IN_ROLES["owner"] == PERMISSIONS
    assert PERMISSIONS - BUILT_IN_ROLES["admin"] == {"workspace:delete"}
    assert set(BUILT_IN_ROLES) == set(ROLE_TITLES)


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        ("workflow:read", "viewer operator builder auditor"),
        ("workflow:publish", "builder"),
        ("workflow:start", "operator builder"),
        ("workflow:manage", ""),
        ("workflow:provision_users", ""),
        ("run:operate", "operator builder"),
        ("run:delete", ""),
        ("trigger:operate", "operator builder"),
        ("connector:execute", "builder"),
        ("report:run", "operator builder auditor"),
        ("secret:read", "operator builder"),
        ("secret:use", "builder"),
        ("task:work", "requester approver operator"),
        ("task:assign", "operator"),
        ("approval:decide", "approver operator"),
        ("document:submit", "requester approver operator"),
        ("catalog:request", "requester approver operator builder"),
        ("user:read", "operator auditor"),
        ("system:operate", "operator"),
        ("business_role:assign", "operator"),
        ("audit:verify", "auditor"),
        ("access:explain", "auditor"),
        ("workspace:read", "viewer requester approver operator builder auditor"),
        ("workspace:create", ""),
    ],
)
def test_the_table_says_who_may(permission: str, roles: str):
    assert ROLES_BY_PERMISSION[permission] == {*roles.split(), "admin", "owner"}


def test_what_is_of_the_whole_installation():
    assert {
        "user:manage",
        "access:manage",
        "settings:manage",
        "system:operate",
        "group:read",
        "workspace:create",
    } <= OF_INSTALLATION
    assert not {"workspace:manage", "workflow:read", "key:manage", "audit:read"} & OF_INSTALLATION


def test_the_page_has_the_table():
    letters = dict(zip(("viewer", "requester", "approver", "operator", "builder", "auditor"), "VRAOBU", strict=True))
    page = (Path(__file__).parents[3] / "docs/access.md").read_text("utf-8")
    told: dict[str, str] = {}
    for area, cells in re.findall(r"^\| (\w+)(?: \\?\*)? \| (`.+) \|$", page, re.MULTILINE):
        for verb, roles in re.findall(r"`(\w+)` ([VRAOBU]+|owner|-)", cells):
            told[f"{area}:{verb}"] = roles.strip("-")
    assert told == {
        permission: "owner" if roles == {"owner"} else "".join(letter for role, letter in letters.items() if role in roles)
        for permission, roles in ROLES_BY_PERMISSION.items()
    }
