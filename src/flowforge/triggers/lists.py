"""What the lists of triggers, their requests, schedules and calendars can be asked for."""

from operator import attrgetter
from typing import Final

from sqlalchemy import and_

from flowforge.kit.values import INTEGER_MAX
from flowforge.triggers.models import TriggerRequestRow, TriggerRow
from flowforge.triggers.schedule_models import CalendarRow, ScheduleRow
from flowforge.triggers.types import Paused, Source
from flowforge.web.selecting import ListForm, Sort, by, by_time_or, exact, moment, number, state, text
from flowforge.web.short_lists import ShortForm, short_text

_RESTS: Final = TriggerRow.paused != Paused.NO.value

KINDS_FORM: Final = ShortForm(
    "trigger_kinds",
    filters={"name": short_text(attrgetter("definition.name"))},
    sorts={"name": attrgetter("definition.name")},
)
TRIGGERS: Final = ListForm(
    "triggers",
    sorts={
        "created_at": by(TriggerRow.id),
        "workflow": by(TriggerRow.workflow),
        "updated_at": by(TriggerRow.updated_at),
        "last_fired_at": by_time_or(TriggerRow.last_fired_at, 0, attrgetter("last_fired_at")),
    },
    default="created_at",
    unique=by(TriggerRow.id),
    filters={
        "id": exact(TriggerRow.id),
        "workflow_id": exact(TriggerRow.workflow_id),
        "workflow": text(TriggerRow.workflow),
        "key": text(TriggerRow.key),
        "uses": exact(TriggerRow.kind),
        "source": exact(TriggerRow.source, tuple(Source)),
        "status": state(
            {"live": and_(TriggerRow.is_live, ~_RESTS), "paused": and_(TriggerRow.is_live, _RESTS), "off": ~TriggerRow.is_live}
        ),
        "created_at": moment(TriggerRow.created_at),
        "last_fired_at": moment(TriggerRow.last_fired_at),
    },
    search={"workflow": TriggerRow.workflow, "key": TriggerRow.key},
)
REQUESTS: Final = ListForm(
    "trigger_requests",
    sorts={"at": by(TriggerRequestRow.no)},
    default="-at",
    unique=by(TriggerRequestRow.no),
    filters={
        "status": number(TriggerRequestRow.status),
        "at": moment(TriggerRequestRow.at),
        "run_id": exact(TriggerRequestRow.run_id),
        "error": exact(TriggerRequestRow.error),
    },
)
_BY_TRIGGER: Final = Sort(ScheduleRow.trigger_id, lambda pair: pair[0].trigger_id, str)
SCHEDULES: Final = ListForm(
    "schedules",
    sorts={
        "created_at": _BY_TRIGGER,
        "workflow": Sort(TriggerRow.workflow, lambda pair: pair[1].workflow, str),
        "next_at": by_time_or(ScheduleRow.next_at, INTEGER_MAX, lambda pair: pair[0].next_at),
    },
    default="created_at",
    unique=_BY_TRIGGER,
    filters={
        "id": exact(ScheduleRow.trigger_id),
        "workflow_id": exact(TriggerRow.workflow_id),
        "workflow": text(TriggerRow.workflow),
        "key": text(TriggerRow.key),
        "calendar": exact(ScheduleRow.calendar),
        "next_at": moment(ScheduleRow.next_at),
    },
    search={"workflow": TriggerRow.workflow, "key": TriggerRow.key},
)
CALENDARS: Final = ListForm(
    "calendars",
    sorts={"name": by(CalendarRow.name), "created_at": by(CalendarRow.id), "updated_at": by(CalendarRow.updated_at)},
    default="name",
    unique=by(CalendarRow.id),
    filters={
        "name": text(CalendarRow.name),
        "created_at": moment(CalendarRow.created_at),
        "created_by": exact(CalendarRow.created_by),
        "updated_at": moment(CalendarRow.updated_at),
    },
    search={"name": CalendarRow.name},
)
