"""Who may see and change which workflow: rights hold in the whole workspace, or in single projects of it."""

from dataclasses import dataclass

from flowforge.web.callers import Caller, CredentialKind


@dataclass(frozen=True, slots=True)
class Sight:
    """Which workflows a caller sees. `project_ids` None: those of every project and those of none."""

    project_ids: frozenset[str] | None = None
    sees_public: bool = True

    def shows(self, project_id: str | None, *, is_public: bool) -> bool:
        if self.project_ids is None or (self.sees_public and is_public):
            return True
        return project_id is not None and project_id in self.project_ids


def find_sight(caller: Caller) -> Sight:
    """What the caller sees. Public workflows are for every person who is signed in; a key shows what its list says."""
    projects = caller.rights.list_projects("workflow:read")
    return Sight(projects, caller.kind not in {CredentialKind.NONE, CredentialKind.KEY})
