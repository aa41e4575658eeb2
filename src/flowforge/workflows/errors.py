"""What can go wrong with workflows and their versions."""

from collections.abc import Sequence

from flowforge.kit.errors import AlreadyExistsError, ConflictError, Detail, NotFoundError, ValidationError


def _one(field: str, message: str, code: str) -> list[Detail]:
    return [Detail(field=field, message=message, code=code)]


class WorkflowNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no workflow {subject}; `flowforge workflows list` shows those that exist."
        super().__init__(message, _one("workflow", message, "workflow_unknown"))


class VersionNotFoundError(NotFoundError):
    def __init__(self, name: str, version: int) -> None:
        message = f"The workflow {name} has no version {version}; `flowforge workflows versions {name}` shows those it has."
        super().__init__(message, _one("version", message, "version_unknown"))


class DraftNotFoundError(NotFoundError):
    def __init__(self, name: str) -> None:
        message = f"The workflow {name} has no draft; `flowforge workflows push FILE` makes one."
        super().__init__(message, _one("", message, "draft_unknown"))


class NameTakenError(AlreadyExistsError):
    def __init__(self, name: str) -> None:
        message = f"There is another workflow of the name {name}; rename one of them first."
        super().__init__(message, _one("name", message, "name_taken"))


class DocumentInvalidError(ValidationError):
    """The document has faults; the details name every one with its line and column."""

    def __init__(self, what: str, faults: Sequence[Detail]) -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{what} has {count}; nothing was stored.", faults)


class DraftChangedError(ConflictError):
    """Somebody else has changed the draft since it was read."""

    def __init__(self, name: str) -> None:
        message = f"The draft of {name} was changed since you read it; read it again and merge your change."
        super().__init__(message, _one("", message, "draft_changed"))


class NotPublishedError(ConflictError):
    def __init__(self, name: str) -> None:
        message = f"The workflow {name} has no published version; `flowforge workflows publish {name}` makes one."
        super().__init__(message, _one("", message, "not_published"))


class DeprecatedError(ConflictError):
    def __init__(self, name: str) -> None:
        message = f"The workflow {name} is deprecated and takes no new run; publish a version to bring it back."
        super().__init__(message, _one("", message, "deprecated"))


class InactiveError(ConflictError):
    def __init__(self, name: str) -> None:
        message = f"The workflow {name} is switched off and takes no new run; `PATCH /workflows/{name}` with active true switches it on."
        super().__init__(message, _one("", message, "inactive"))


class OpenRunsError(ConflictError):
    """The workflow cannot be deleted while runs of it are open."""

    def __init__(self, name: str, open_runs: int) -> None:
        runs = "1 open run" if open_runs == 1 else f"{open_runs} open runs"
        message = f"The workflow {name} has {runs}; wait for them, or delete with --force, which cancels them."
        super().__init__(message, _one("", message, "open_runs"))


class NameFixedError(ValidationError):
    """The document names another workflow than the one whose draft it is to be."""

    def __init__(self, name: str, given: str) -> None:
        message = f"The document names {given}, but this is {name}; a workflow that was published keeps its name."
        super().__init__(message, _one("name", message, "name_fixed"))


class DraftExistsError(ConflictError):
    def __init__(self, name: str) -> None:
        message = f"The workflow {name} has a draft already; publish or delete it first, or name it in If-Match to replace it."
        super().__init__(message, _one("", message, "draft_exists"))


class ReadOnlyFieldError(ValidationError):
    """Fields that nobody sets."""

    def __init__(self, names: Sequence[str]) -> None:
        message = f"These cannot be set: {', '.join(names)}."
        super().__init__(
            message, [Detail(field=name, message=f"{name} cannot be set.", code="field_read_only") for name in names]
        )


class ContentError(ValidationError):
    """A body whose fields do not fit together. `code`: the detail's."""

    def __init__(self, field: str, message: str, code: str) -> None:
        super().__init__(message, _one(field, message, code))
