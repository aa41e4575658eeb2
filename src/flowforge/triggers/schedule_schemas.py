"""Bodies of requests and answers about schedules and calendars."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from flowforge.kit.values import JsonObject
from flowforge.language.times import TimeFault, parse_timestamp_ms
from flowforge.web.bodies import Answer, Body, show

NEXT_DEFAULT = 20
NEXT_MAX = 100
_TEXT_MAX = 1_000
_DATES_MAX = 1_000


def _check_limit(value: int) -> int:
    if not 1 <= value <= NEXT_MAX:
        raise PydanticCustomError("limit", "Ask for 1 to {most} slots.", {"most": NEXT_MAX})
    return value


def _check_time(text: str) -> str:
    try:
        parse_timestamp_ms(text)
    except TimeFault as fault:
        raise PydanticCustomError("time", "{reason}", {"reason": str(fault)}) from None
    return text


Zoned = Annotated[str, Field(max_length=64, examples=["2026-04-01T00:00:00Z"]), AfterValidator(_check_time)]
Short = Annotated[str, Field(max_length=_TEXT_MAX)]


class PreviewBody(Body):
    """A schedule as `with` of a trigger has it, and how many slots are wanted. Exactly one of `cron`, `every` and `at`."""

    model_config = show({"cron": "0 7 * * 1-5", "timezone": "Europe/Berlin", "limit": 20})

    cron: Annotated[str, Field(max_length=20_000)] | None = Field(default=None, examples=["0 7 * * 1-5"])
    every: Short | None = Field(default=None, examples=["15m"])
    at: Short | None = Field(default=None, description="With a zone, or without one in `timezone`.")
    timezone: Short = Field(default="UTC", examples=["Europe/Berlin"])
    start: Short | None = None
    end: Short | None = None
    jitter: Short | None = Field(default=None, examples=["1m"])
    calendar: Short | None = Field(default=None, description="The name of a calendar.")
    limit: Annotated[int, AfterValidator(_check_limit)] = Field(default=NEXT_DEFAULT, description="How many slots: 1 to 100.")


class SlotAnswer(Answer):
    """A moment at which a schedule fires."""

    at: str = Field(description="In UTC.", examples=["2027-03-28T01:00:00Z"])
    local: str = Field(description="In the schedule's zone.", examples=["2027-03-28T03:00:00+02:00"])
    nominal: str = Field(description="The wall time that is meant, without a zone.", examples=["2027-03-28T02:30:00"])
    is_moved: bool = Field(description="The clocks skip the nominal time: it fires at the first moment after that.")


class PreviewAnswer(Answer):
    explanation: str = Field(examples=["At 07:00 on Monday through Friday, Europe/Berlin time."])
    timezone: str = Field(examples=["Europe/Berlin"])
    cron: str | None = Field(description="The expression as it was understood.", examples=["0 7 * * 1-5"])
    next: list[SlotAnswer]
    warnings: list[str]


class ScheduleAnswer(Answer):
    """A live schedule: a trigger of the kind `schedule`."""

    id: str = Field(description="The trigger's id.", examples=["trg_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    key: str = Field(description="Its id in the document.", examples=["weekdays"])
    workflow_id: str
    workflow: str
    status: str = Field(description="live or paused.")
    with_: dict[str, Any] = Field(serialization_alias="with")
    explanation: str
    timezone: str
    calendar: str | None
    next_at: str | None = Field(description="When it fires next, its jitter included; null: never again.")
    next: list[SlotAnswer] = Field(description="The next three slots.")
    last_run_id: str | None


class NextAnswer(Answer):
    """A schedule goes on, so that there is no last page: `limit` says how far to look."""

    timezone: str
    explanation: str
    data: list[SlotAnswer]
    next_cursor: None = None


class BackfillBody(Body):
    """A window of time in the past; slots that ran already do not run again."""

    from_: Zoned = Field(alias="from", description="From this moment on.")
    to: Zoned = Field(description="Up to and with this moment.")


class RefusedSlot(Answer):
    slot: str
    code: str
    message: str


class BackfillAnswer(Answer):
    total: int = Field(description="Slots in the window.")
    started: int
    existing: int = Field(description="Slots whose run was there already.")
    failed: int
    errors: list[RefusedSlot] = Field(description="Of the slots that failed, the first 20.")


class CalendarFields(Body):
    """Which days count: those of `open`; else the working days that are neither in `closed` nor a holiday of one of the countries."""

    working_days: list[Short] = Field(
        default=["mon", "tue", "wed", "thu", "fri"], max_length=7, description="Of mon, tue, wed, thu, fri, sat, sun."
    )
    countries: list[Short] = Field(
        default=[], max_length=20, description="Whose public holidays do not count (ISO 3166).", examples=[["DE-BE"]]
    )
    closed: list[Short] = Field(
        default=[], max_length=_DATES_MAX, description="Days that do not count.", examples=[["2027-12-24"]]
    )
    open: list[Short] = Field(default=[], max_length=_DATES_MAX, description="Days that count all the same.")


CalendarName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="By which schedules name it.", examples=["berlin-office"])
]


class NewCalendar(CalendarFields):
    name: CalendarName


class CalendarPatch(Body):
    """What changes (JSON Merge Patch); lists are replaced as a whole."""

    name: CalendarName | None = None
    working_days: list[Short] | None = Field(default=None, max_length=7)
    countries: list[Short] | None = Field(default=None, max_length=20)
    closed: list[Short] | None = Field(default=None, max_length=_DATES_MAX)
    open: list[Short] | None = Field(default=None, max_length=_DATES_MAX)


class CalendarAnswer(Answer):
    id: str = Field(examples=["cal_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    name: str = Field(examples=["berlin-office"])
    working_days: list[str]
    countries: list[str]
    closed: list[str]
    open: list[str]
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str


def read_parameters(body: PreviewBody) -> JsonObject:
    """The body as parameters of a trigger."""
    return {name: value for name, value in body.model_dump(exclude={"limit"}).items() if value is not None}
