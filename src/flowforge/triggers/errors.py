"""What can go wrong with triggers and their requests."""

from collections.abc import Sequence
from typing import ClassVar

from flowforge.kit.errors import AlreadyExistsError, ConflictError, Detail, NotFoundError, RequestError, ValidationError


def _one(field: str, message: str, code: str) -> list[Detail]:
    return [Detail(field=field, message=message, code=code)]


class TriggerNotFoundError(NotFoundError):
    def __init__(self, trigger_id: str) -> None:
        message = f"There is no trigger {trigger_id}; `flowforge triggers list` shows those that exist."
        super().__init__(message, _one("trigger", message, "trigger_unknown"))


class KindNotFoundError(NotFoundError):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        message = f"There is no kind of trigger {name[:80]!r}; known are {', '.join(known)}."
        super().__init__(message, _one("uses", message, "kind_unknown"))


class TriggerInvalidError(ValidationError):
    """The parameters or the input of a trigger have faults; the details name every one."""

    def __init__(self, faults: Sequence[Detail]) -> None:
        first = f": {faults[0].field}: {faults[0].message}" if faults else "."
        super().__init__(f"The trigger has {'a fault' if len(faults) == 1 else f'{len(faults)} faults'}{first}", faults)


class OwnedByDocumentError(ConflictError):
    """The trigger is written in its workflow's document."""

    def __init__(self, key: str, workflow: str) -> None:
        message = f"The trigger {key} is written in the document of {workflow}; change it there and publish."
        super().__init__(message, _one("", message, "owned_by_document"))


class HookPathTakenError(AlreadyExistsError):
    """Two webhooks of a workspace cannot have one path."""

    def __init__(self, path: str, field: str, workflow: str | None = None) -> None:
        owner = f" of the workflow {workflow}" if workflow else ""
        message = f"The path {path} belongs to another webhook{owner}; choose another one."
        super().__init__(message, _one(field, message, "path_taken"))


class TriggerOffError(ConflictError):
    """The trigger cannot start runs now."""

    def __init__(self, trigger_id: str) -> None:
        message = f"The trigger {trigger_id} is off: its workflow has no published version with it, or is deprecated or inactive."
        super().__init__(message, _one("", message, "trigger_off"))


class TriggerPausedError(ConflictError):
    """The trigger is paused and takes nothing."""

    def __init__(self, trigger_id: str) -> None:
        message = f"The trigger {trigger_id} is paused; resume it first."
        super().__init__(message, _one("", message, "trigger_paused"))


class EventNotFoundError(NotFoundError):
    def __init__(self, event_id: str) -> None:
        message = f"There is no held event {event_id} of this trigger; it was run or thrown away already."
        super().__init__(message, _one("ids", message, "event_unknown"))


class ChoiceError(ValidationError):
    """Neither ids nor all, or both."""

    def __init__(self) -> None:
        message = "Name either `ids` or `all: true`."
        super().__init__(message, _one("ids", message, "one_of"))


class TooManyHeldError(ConflictError):
    """A paused trigger holds as many events as it may."""

    code: ClassVar[str] = "RATE_LIMITED"

    def __init__(self, most: int) -> None:
        message = f"The trigger is paused and holds {most} events already; run them or throw them away."
        super().__init__(message, _one("", message, "held_max"))


class InputFailedError(ValidationError):
    """The expressions of a trigger's `input` cannot be evaluated with what came."""

    def __init__(self, key: str, field: str, problem: str, code: str) -> None:
        message = f"The input of the trigger {key} cannot be made: {problem}"
        super().__init__(message, _one(f"input.{field}" if field else "input", message, code))


class HookNotFoundError(NotFoundError):
    """The one answer to whoever asks for a webhook that is unknown, off, refusing, or closed to his address."""

    def __init__(self) -> None:
        super().__init__("There is nothing here.")


class SignatureError(RequestError):
    """A delivery that does not prove where it comes from (401). `reason`: signature or timestamp."""

    code: ClassVar[str] = "INVALID_SIGNATURE"

    def __init__(self, message: str = "The delivery does not prove where it comes from.", *, reason: str = "signature") -> None:
        super().__init__(message, _one("", message, reason))


class DeliveryIdError(RequestError):
    """A delivery id that is missing where one is due, or cannot be used (400)."""

    code: ClassVar[str] = "BAD_REQUEST"

    def __init__(self, header: str, message: str) -> None:
        super().__init__(message, _one(header, message, "delivery_id"))
