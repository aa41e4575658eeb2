"""Who is asking, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

OPEN: Final = "open"
"""A guard: everybody may, signed in or not."""
SIGNED_IN: Final = "signed_in"
"""A guard: whoever is signed in, with any credential."""
SESSION: Final = "session"
"""A guard: a person by session or sign-in token; never an API key."""
GUARDS: Final = frozenset({OPEN, SIGNED_IN, SESSION})


class CredentialKind(StrEnum):
    NONE = "none"
    SESSION = "session"
    KEY = "key"
    TOKEN = "token"  # noqa: S105 (a word)
    BASIC = "basic"


@dataclass(frozen=True, slots=True)
class Rights:
    """Permissions (`workflow:read`) in one workspace, and those that hold in single projects of it only."""

    everywhere: frozenset[str] = frozenset()
    projects: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def allow(self, permission: str, project_id: str | None = None) -> bool:
        """Whether it holds in the whole workspace, or in that project."""
        return permission in self.everywhere or (project_id is not None and permission in self.projects.get(project_id, ()))

    def allow_somewhere(self, permission: str) -> bool:
        """Whether it holds in the workspace or in any project: the guard of a route whose object is not known yet."""
        return permission in self.everywhere or any(permission in found for found in self.projects.values())

    def list_projects(self, permission: str) -> frozenset[str] | None:
        """The projects in which it holds; None: everywhere."""
        if permission in self.everywhere:
            return None
        return frozenset(project for project, found in self.projects.items() if permission in found)


@dataclass(frozen=True, slots=True)
class Caller:
    """One authenticated (or anonymous) sender of a request.

    `actor`: `user:usr_…`, or `anonymous`. `credential`: `session:ses_…`, `key:key_…`, `token:…`, or empty. `address`: the IP address
    that the request came from, proxies that are trusted taken off.
    """

    actor: str
    user_id: str | None
    kind: CredentialKind
    credential: str
    workspace_id: str
    rights: Rights
    address: str
    tier: str = "pro"

    @property
    def is_anonymous(self) -> bool:
        return self.kind is CredentialKind.NONE
