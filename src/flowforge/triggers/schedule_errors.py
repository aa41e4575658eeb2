"""What can be wrong with a schedule, a calendar or a window of time. The details carry the finer codes."""

from collections.abc import Sequence
from typing import ClassVar

from flowforge.kit.errors import AlreadyExistsError, ConflictError, Detail, NotFoundError, ValidationError


class ScheduleError(ValidationError):
    """A field of a schedule that cannot be: `reason` is the finer code, `field` the parameter's name."""

    def __init__(self, field: str, message: str, reason: str) -> None:
        super().__init__(message, [Detail(field, message, reason)])
        self.field = field
        self.reason = reason


class CronError(ScheduleError):
    """A cron expression that is refused."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__("cron", message, reason)


class SchedulesFullError(ValidationError):
    """The workspace has as many live schedules as it may."""

    def __init__(self, most: int) -> None:
        message = f"The workspace has {most} live schedules, which is the most; remove one first."
        super().__init__(message, [Detail("uses", message, "schedules_max")])


class ScheduleNotFoundError(NotFoundError):
    """There is no live schedule of that id in the workspace."""

    def __init__(self, trigger_id: str) -> None:
        message = f"There is no live schedule {trigger_id}; `GET /schedules` lists them."
        super().__init__(message, [Detail("", message, "schedule_unknown")])


class WindowError(ValidationError):
    """A window of time for a backfill that cannot be."""

    def __init__(self, field: str, message: str, reason: str) -> None:
        super().__init__(message, [Detail(field, message, reason)])


class CalendarNotFoundError(NotFoundError):
    """There is no calendar of that name or id in the workspace."""

    def __init__(self, calendar: str) -> None:
        message = f"There is no calendar {calendar[:100]!r}; `GET /calendars` lists them."
        super().__init__(message, [Detail("calendar", message, "calendar_unknown")])


class CalendarExistsError(AlreadyExistsError):
    """The workspace has a calendar of that name."""

    def __init__(self, name: str) -> None:
        message = f"There is a calendar {name!r} already; choose another name, or change that one."
        super().__init__(message, [Detail("name", message, "name_taken")])


class CalendarInUseError(ConflictError):
    """Live schedules name the calendar."""

    code: ClassVar[str] = "CONFLICT"

    def __init__(self, name: str, trigger_ids: Sequence[str]) -> None:
        listed = ", ".join(trigger_ids[:5])
        message = f"The calendar {name!r} is used by {len(trigger_ids)} live schedules ({listed}); take it out of them first."
        super().__init__(message, [Detail("", message, "calendar_in_use")])


class CalendarInvalidError(ValidationError):
    """A field of a calendar that cannot be."""

    def __init__(self, field: str, message: str, reason: str) -> None:
        super().__init__(message, [Detail(field, message, reason)])
