"""What can go wrong when a run is looked for or told something."""

from flowforge.kit.errors import ConflictError, Detail, NotFoundError, NotInstalledError, ValidationError


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


class RunOpenError(ConflictError):
    """The run goes on, and can be deleted only after its end."""

    def __init__(self, run_id: str, status: str) -> None:
        message = f"The run {run_id} has not ended ({status}); cancel it first."
        super().__init__(message, [Detail(field="run", message=message, code="run_open")])


class NothingToRetryError(ConflictError):
    """No step of the run waits for a person or for its next attempt."""

    def __init__(self, run_id: str) -> None:
        message = f"No step of {run_id} waits to be tried again. What failed for good cannot be: start the workflow anew."
        super().__init__(message, [Detail(field="run", message=message, code="nothing_to_retry")])


class DefinitionMissingError(NotInstalledError):
    """The run's definition does not compile here, so that nobody can say where its steps stand."""

    def __init__(self, run_id: str) -> None:
        message = f"The definition of {run_id} uses what is not installed here, so its steps cannot be steered here."
        super().__init__(message, [Detail(field="run", message=message, code="not_installed")])


class BulkSizeError(ValidationError):
    def __init__(self, count: int, most: int) -> None:
        message = f"These are {count} ids, and at most {most} may be named; use `where` for more."
        super().__init__(message, [Detail(field="ids", message=message, code="bulk_max")])


class BulkChoiceError(ValidationError):
    def __init__(self) -> None:
        message = "Say which runs: `ids` or `where`, one of both."
        super().__init__(message, [Detail(field="", message=message, code="bulk_choice")])


class ResumeTokenError(NotFoundError):
    """One and the same for a token that is none, is too old, or whose run does not wait any more."""

    def __init__(self) -> None:
        super().__init__("There is nothing here: the link is not valid, or what it was for is done.")
