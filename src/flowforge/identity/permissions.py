"""Every permission there is, and which of the built-in roles have it (docs/access.md).

A permission is `area:verb`. Roles are bundles of permissions; what is asked for anywhere is a permission, never a role.
"""

from collections.abc import Mapping
from typing import Final

VIEWER: Final = "viewer"
REQUESTER: Final = "requester"
APPROVER: Final = "approver"
OPERATOR: Final = "operator"
BUILDER: Final = "builder"
AUDITOR: Final = "auditor"
ADMIN: Final = "admin"
OWNER: Final = "owner"

ROLE_TITLES: Final[Mapping[str, str]] = {
    VIEWER: "Sees workflows, their runs, and what they are made of.",
    REQUESTER: "Asks for things from the catalog, and does the tasks that come of it.",
    APPROVER: "Decides approvals and does tasks.",
    OPERATOR: "Starts, steers and repairs runs; sees people and the system.",
    BUILDER: "Makes workflows and everything that they need.",
    AUDITOR: "Reads everything that shows who did and may do what.",
    ADMIN: "Everything but the deletion of workspaces.",
    OWNER: "Everything.",
}
"""The built-in roles and what they are for, the least first."""

_LETTERS: Final = {"V": VIEWER, "R": REQUESTER, "A": APPROVER, "O": OPERATOR, "B": BUILDER, "U": AUDITOR}

_BUILDING: Final = "project template form trigger connector report operation"
_GUARDED: Final = "connection secret variable invitation"
_PEOPLE_WORK: Final = "task approval document catalog file"
_RUNNING_THE_HOUSE: Final = (
    "user group key session business_role entitlement settings scim certificate gateway event plugin system"
)

_TABLE: Final[tuple[tuple[str, str, str], ...]] = (
    # areas, verbs, which roles have them beside admin and owner
    ("workflow", "read", "VOBU"),
    ("workflow", "create update delete publish", "B"),
    ("workflow", "start", "OB"),
    ("workflow", "manage provision_users", ""),
    ("run", "read", "VOBU"),
    ("run", "operate cancel", "OB"),
    ("run", "delete", ""),
    (_BUILDING, "read", "VOBU"),
    (_BUILDING, "manage", "B"),
    ("trigger", "operate", "OB"),
    ("connector", "execute", "B"),
    ("report", "run", "OBU"),
    ("operation", "call", "OB"),
    (_GUARDED, "read", "OB"),
    (_GUARDED, "manage use", "B"),
    (_PEOPLE_WORK, "read", "RAOB"),
    (_PEOPLE_WORK, "manage", "B"),
    ("task", "work", "RAO"),
    ("task", "assign", "O"),
    ("approval", "decide", "AO"),
    ("document", "submit", "RAO"),
    ("document", "review", "AO"),
    ("catalog", "request", "RAOB"),
    ("file", "write", "RAOB"),
    (_RUNNING_THE_HOUSE, "read", "OU"),
    (_RUNNING_THE_HOUSE, "manage", ""),
    ("business_role", "assign", "O"),
    ("entitlement", "reconcile", "O"),
    ("system", "operate", "O"),
    ("audit access", "read", "U"),
    ("audit access", "manage", ""),
    ("audit", "verify", "U"),
    ("access", "explain", "U"),
    ("workspace", "read", "VRAOBU"),
    ("workspace", "create manage", ""),
    ("workspace", "delete", ""),
)
_OWNERS_ALONE: Final = frozenset({"workspace:delete"})

INSTALLATION_AREAS: Final = frozenset(
    {"user", "group", "session", "access", "settings", "system", "scim", "certificate", "gateway", "plugin"}
)
"""Areas of the whole installation: a role that was given for a workspace or a project says nothing about them."""
_INSTALLATION_PERMISSIONS: Final = frozenset({"workspace:create"})


def _read_table() -> dict[str, frozenset[str]]:
    given: dict[str, set[str]] = {}
    for areas, verbs, letters in _TABLE:
        for area in areas.split():
            for verb in verbs.split():
                permission = f"{area}:{verb}"
                roles = {_LETTERS[letter] for letter in letters} | {OWNER}
                given[permission] = roles if permission in _OWNERS_ALONE else roles | {ADMIN}
    return {permission: frozenset(roles) for permission, roles in sorted(given.items())}


ROLES_BY_PERMISSION: Final[Mapping[str, frozenset[str]]] = _read_table()
"""Every permission, with the built-in roles that hold it."""

PERMISSIONS: Final = frozenset(ROLES_BY_PERMISSION)

BUILT_IN_ROLES: Final[Mapping[str, frozenset[str]]] = {
    role: frozenset(permission for permission, roles in ROLES_BY_PERMISSION.items() if role in roles) for role in ROLE_TITLES
}
"""The permissions of each built-in role."""


def find_near(name: str) -> list[str]:
    """At most three permissions that an unknown name may mean, the nearest first."""
    import difflib  # start-up does not pay for what only a mistake needs (7 ms)

    return difflib.get_close_matches(name.lower()[:60], PERMISSIONS, n=3, cutoff=0.7)


def is_of_installation(permission: str) -> bool:
    """Whether it can only be had for the whole installation."""
    return permission in _INSTALLATION_PERMISSIONS or permission.partition(":")[0] in INSTALLATION_AREAS


OF_INSTALLATION: Final = frozenset(filter(is_of_installation, PERMISSIONS))
