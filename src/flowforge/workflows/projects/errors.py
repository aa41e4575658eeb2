"""What can go wrong with projects and sets."""

from flowforge.kit.errors import AlreadyExistsError, ConflictError, Detail, NotFoundError


class ProjectNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no project {subject}; GET /projects lists those that you see."
        super().__init__(message, [Detail("project_id", message, "project_unknown")])


class SetNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no set of workflows {subject}; GET /workflow-sets lists those that you see."
        super().__init__(message, [Detail("", message, "set_unknown")])


class ProjectNameTakenError(AlreadyExistsError):
    def __init__(self, name: str) -> None:
        message = f"There is another project of the name {name}; take another name."
        super().__init__(message, [Detail("name", message, "name_taken")])


class SetNameTakenError(AlreadyExistsError):
    def __init__(self, name: str) -> None:
        message = f"There is another set of workflows of the name {name}; take another name."
        super().__init__(message, [Detail("name", message, "name_taken")])


class ProjectNotEmptyError(ConflictError):
    """A project that holds workflows or sets cannot be deleted."""

    def __init__(self, name: str, members: int) -> None:
        message = f"The project {name} still holds {members} workflows and sets; move or delete them first."
        super().__init__(message, [Detail("", message, "project_not_empty")])
