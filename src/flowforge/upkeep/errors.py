"""What can go wrong when an installation is backed up, restored or copied."""

from pathlib import Path

from flowforge.kit.errors import ConflictError, DependencyError, Detail, ValidationError


class ArchiveInvalidError(ValidationError):
    """The file is no backup, or it is damaged."""

    def __init__(self, path: Path, reason: str) -> None:
        message = f"{path} cannot be used as a backup: {reason}."
        super().__init__(message, [Detail(field="", message=message, code="backup_invalid")])


class ArchiveUnfitError(ConflictError):
    """The backup is whole, but not for this database or this version."""

    def __init__(self, message: str) -> None:
        super().__init__(message, [Detail(field="", message=message, code="backup_unfit")])


class TargetNotEmptyError(ConflictError):
    """What is to be filled holds something already."""

    def __init__(self, message: str) -> None:
        super().__init__(message, [Detail(field="", message=message, code="target_not_empty")])


class WorkersAliveError(ConflictError):
    """Somebody works on the database."""

    def __init__(self, place: str, names: list[str]) -> None:
        who = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        message = (
            f"{place} is at work ({who}): end its workers and schedulers first (`flowforge workers` shows them), or say --force."
        )
        super().__init__(message, [Detail(field="", message=message, code="workers_alive")])


class ProgramMissingError(DependencyError):
    """A tool of the database is not there, or too old."""

    def __init__(self, message: str) -> None:
        super().__init__(message, [Detail(field="", message=message, code="program_missing")])


class ProgramFailedError(DependencyError):
    """A tool of the database did not do its work."""

    def __init__(self, program: str, code: int, said: str) -> None:
        message = f"{program} ended with the code {code}: {said or 'it said nothing'}"
        super().__init__(message, [Detail(field="", message=message, code="program_failed")])


class CopyUnfitError(ConflictError):
    """This database cannot be copied to that one."""

    def __init__(self, message: str) -> None:
        super().__init__(message, [Detail(field="to", message=message, code="copy_unfit")])


class RowDiffersError(DependencyError):
    """A row does not come back from the database as it was put in, or is not taken."""

    def __init__(self, table: str, key: str, reason: str) -> None:
        message = f"The row {key} of the table {table} cannot be copied: {reason}."
        super().__init__(message, [Detail(field=table, message=message, code="row_differs")])


class CountDiffersError(DependencyError):
    """A table has not as many rows as the backup or the source."""

    def __init__(self, table: str, found: int, wanted: int) -> None:
        message = f"The table {table} has {found} rows instead of {wanted}: what was written is not used; do it again."
        super().__init__(message, [Detail(field=table, message=message, code="count_differs")])
