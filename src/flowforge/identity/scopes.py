"""Where a role holds: in the whole installation, in a workspace, in a project."""

from dataclasses import dataclass
from typing import Final, Self

from flowforge.identity.permissions import OF_INSTALLATION
from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.ids import is_id

_INSTALLATION: Final = "installation"


class ScopeInvalidError(ValidationError):
    def __init__(self, text: str) -> None:
        message = f"{text[:80]!r} is no scope; write installation, workspace:ws_… or project:prj_…"
        super().__init__(message, [Detail("scope", message, "scope_invalid")])


@dataclass(frozen=True, slots=True)
class Scope:
    """`workspace_id` empty: everywhere. `project_id` empty: in the whole workspace."""

    workspace_id: str = ""
    project_id: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`installation`, `workspace:ws_…` or `project:prj_…`; a project's workspace is not known yet then.

        Raises:
            ScopeInvalidError: it is none of these.
        """
        kind, _, name = text.partition(":")
        if text == _INSTALLATION:
            return cls()
        if kind == "workspace" and is_id(name, "ws"):
            return cls(workspace_id=name)
        if kind == "project" and is_id(name, "prj"):
            return cls(project_id=name)
        raise ScopeInvalidError(text)

    def __str__(self) -> str:
        if self.project_id:
            return f"project:{self.project_id}"
        return f"workspace:{self.workspace_id}" if self.workspace_id else _INSTALLATION

    def narrow(self, permissions: frozenset[str]) -> frozenset[str]:
        """What of these can hold in this scope: in a workspace nothing of what is the whole installation's."""
        return permissions - OF_INSTALLATION if self.workspace_id or self.project_id else permissions
