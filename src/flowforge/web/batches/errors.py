"""What can be wrong with a batch that somebody names."""

from flowforge.kit.errors import ConflictError, Detail, NotFoundError


class BatchNotFoundError(NotFoundError):
    def __init__(self, batch_id: str) -> None:
        message = f"There is no batch {batch_id}; a batch is kept for 30 days after its end."
        super().__init__(message, [Detail(field="batch", message=message, code="batch_unknown")])


class BatchEndedError(ConflictError):
    def __init__(self, batch_id: str, status: str) -> None:
        message = f"The batch {batch_id} has ended ({status}) and cannot be stopped any more."
        super().__init__(message, [Detail(field="batch", message=message, code="batch_ended")])
