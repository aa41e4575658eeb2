"""What can go wrong when a run is looked for or told something."""

from flowforge.kit.errors import ConflictError, Detail, NotFoundError, ValidationError


class RunNotFoundError(NotFoundError):
    def __init__(self, run_id: str) -> None:
        message = f"There is no run {run_id}; `flowforge runs list` shows those that exist."
        super().__init__(message, [Detail(field="run", message=message, code="run_unknown")])


class StepNotFoundError(NotFoundError):
    def __init__(self, run_id: str, step: str) -> None:
        message = f"The run {run_id} has no step {step}; `flowforge runs show {run_id}` shows those it has."
        super().__init__(message, [Detail(field="step", message=message, code="step_unknown")])


class RunEndedError(ConflictError):
    """The run has ended, and takes no message any more."""

    def __init__(self, run_id: str, status: str) -> None:
        message = f"The run {run_id} has ended ({status}); it can be looked at, and its workflow started anew."
        super().__init__(message, [Detail(field="run", message=message, code="run_ended")])


class StepStateError(ConflictError):
    """The step is not in a state in which this could be done to it."""

    def __init__(self, run_id: str, step: str, status: str, wanted: str) -> None:
        message = f"The step {step} of {run_id} is {status}; only a step that {wanted} can be told so."
        super().__init__(message, [Detail(field="step", message=message, code="step_state")])


class CursorError(ValidationError):
    def __init__(self) -> None:
        message = "This cursor belongs to another list; begin again without a cursor."
        super().__init__(message, [Detail(field="cursor", message=message, code="cursor_invalid")])
