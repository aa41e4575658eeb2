"""What can go wrong with an import."""

from collections.abc import Sequence

from flowforge.kit.errors import ConflictError, Detail
from flowforge.workflows.transfer.schemas import ImportedItem


class ImportConflictError(ConflictError):
    """Something of the file contradicts what is here; nothing was changed."""

    def __init__(self, conflicts: Sequence[ImportedItem]) -> None:
        count = "1 item contradicts" if len(conflicts) == 1 else f"{len(conflicts)} items contradict"
        message = f"{count} what is here; nothing was changed. Leave them out with skip_conflicts, or make room for them."
        details = [Detail(f"{item.kind}.{item.name}", f"{item.name}: {item.message}", "import_conflict") for item in conflicts]
        super().__init__(message, details)
