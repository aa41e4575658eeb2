"""Calendars: which days count, by the days of the week, the public holidays of countries, and single dates. Nothing here commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import decode, encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.triggers import schedule_repository as repository
from flowforge.triggers.schedule_errors import (
    CalendarExistsError,
    CalendarInUseError,
    CalendarInvalidError,
    CalendarNotFoundError,
)
from flowforge.triggers.schedule_models import CalendarRow

if TYPE_CHECKING:
    from holidays import HolidayBase

WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WORKING_WEEK: Final = WEEK[:5]


@dataclass(frozen=True, slots=True)
class CalendarRules:
    """A day counts if it is in `open`; else if it is not in `closed`, is one of `working_days`, and no holiday of `countries`.

    `countries`: ISO 3166 codes, with a subdivision where it has its own holidays (`DE`, `DE-BE`).
    """

    working_days: tuple[str, ...] = WORKING_WEEK
    countries: tuple[str, ...] = ()
    closed: frozenset[date] = frozenset()
    open: frozenset[date] = frozenset()

    def is_open(self, day: date) -> bool:
        """Whether the day counts."""
        if day in self.open:
            return True
        if day in self.closed or WEEK[day.weekday()] not in self.working_days:
            return False
        return not any(day in _load_holidays(code) for code in self.countries)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar of a workspace."""

    id: str
    name: str
    rules: CalendarRules
    etag: str
    created_at_ms: int
    created_by: str
    updated_at_ms: int
    updated_by: str


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a calendar, and when; `etag` marks the state that this makes."""

    name: str
    at_ms: int
    etag: str


@lru_cache(maxsize=64)
def _load_holidays(code: str) -> "HolidayBase":
    # The package takes a tenth of a second to import; most installations have no calendar.
    import holidays

    country, _, subdivision = code.partition("-")
    return holidays.country_holidays(country, subdiv=subdivision or None)


def make_rules(
    working_days: Sequence[str], countries: Sequence[str], closed: Sequence[str], open_days: Sequence[str]
) -> CalendarRules:
    """The rules that a person wrote.

    Raises:
        CalendarInvalidError: `choice` (a day of the week), `country` (not known), `date` (no day), `date_twice` (closed and open), `blank`
            (no day counts).
    """
    for index, word in enumerate(working_days):
        if word not in WEEK:
            raise CalendarInvalidError(f"working_days[{index}]", f"{word[:40]!r} is none of {', '.join(WEEK)}.", "choice")
    for index, code in enumerate(countries):
        _check_country(code, f"countries[{index}]")
    closed_dates, open_dates = _read_dates(closed, "closed"), _read_dates(open_days, "open")
    both = sorted(closed_dates & open_dates)
    if both:
        raise CalendarInvalidError("open", f"{both[0].isoformat()} is both in `closed` and in `open`.", "date_twice")
    if not working_days and not open_dates:
        raise CalendarInvalidError("working_days", "No day counts: give working days or open dates.", "blank")
    ordered = tuple(word for word in WEEK if word in working_days)
    return CalendarRules(ordered, tuple(dict.fromkeys(countries)), closed_dates, open_dates)


def _check_country(code: str, field: str) -> None:
    try:
        _load_holidays(code)
    except NotImplementedError:
        message = f"The public holidays of {code[:40]!r} are not known; write a country like DE, or a part of one like DE-BE."
        raise CalendarInvalidError(field, message, "country") from None


def _read_dates(texts: Sequence[str], field: str) -> frozenset[date]:
    found: set[date] = set()
    for index, text in enumerate(texts):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
        if day is None or day.isoformat() != text:
            raise CalendarInvalidError(f"{field}[{index}]", f"{text[:40]!r} is no day; write it like 2027-12-24.", "date")
        found.add(day)
    return frozenset(found)


def describe_rules(rules: CalendarRules) -> JsonObject:
    """As they are stored and shown."""
    return {
        "working_days": list[JsonValue](rules.working_days),
        "countries": list[JsonValue](rules.countries),
        "closed": [day.isoformat() for day in sorted(rules.closed)],
        "open": [day.isoformat() for day in sorted(rules.open)],
    }


def _read_texts(value: JsonValue) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def read_calendar(row: CalendarRow) -> Calendar:
    """The calendar of a row."""
    stored = decode(row.rules)
    told = stored if isinstance(stored, dict) else {}
    rules = CalendarRules(
        tuple(_read_texts(told.get("working_days"))),
        tuple(_read_texts(told.get("countries"))),
        frozenset(date.fromisoformat(text) for text in _read_texts(told.get("closed"))),
        frozenset(date.fromisoformat(text) for text in _read_texts(told.get("open"))),
    )
    return Calendar(row.id, row.name, rules, row.etag, row.created_at, row.created_by, row.updated_at, row.updated_by)


async def find_rules(session: AsyncSession, workspace_id: str, name: str | None) -> CalendarRules | None:
    """The rules of a calendar by its name; None for no name.

    Raises:
        CalendarNotFoundError: there is none of that name.
    """
    if name is None:
        return None
    row = await repository.find_calendar(session, workspace_id, name)
    if row is None:
        raise CalendarNotFoundError(name)
    return read_calendar(row).rules


async def get_calendar(session: AsyncSession, workspace_id: str, subject: str, *, is_locked: bool = False) -> CalendarRow:
    """By id or name.

    Raises:
        CalendarNotFoundError: there is none.
    """
    row = await repository.find_calendar(session, workspace_id, subject, is_locked=is_locked)
    if row is None:
        raise CalendarNotFoundError(subject)
    return row


async def create_calendar(
    session: AsyncSession, workspace_id: str, calendar_id: str, name: str, rules: CalendarRules, author: Author
) -> Calendar:
    """Raises CalendarExistsError where the name is taken."""
    row = CalendarRow(
        id=calendar_id,
        workspace_id=workspace_id,
        name=name,
        rules=encode(describe_rules(rules)).decode(),
        etag=author.etag,
        created_at=author.at_ms,
        created_by=author.name,
        updated_at=author.at_ms,
        updated_by=author.name,
    )
    if await repository.find_calendar(session, workspace_id, name) is not None:
        raise CalendarExistsError(name)
    session.add(row)
    await _store(session, name)
    return read_calendar(row)


async def change_calendar(session: AsyncSession, row: CalendarRow, name: str, rules: CalendarRules, author: Author) -> Calendar:
    """Gives a locked row a new name and new rules.

    Raises:
        CalendarInUseError: live schedules name it, so it keeps its name.
        CalendarExistsError: the name is taken.
    """
    if name != row.name:
        await refuse_in_use(session, row)
        if await repository.find_calendar(session, row.workspace_id, name) is not None:
            raise CalendarExistsError(name)
    row.name, row.rules, row.etag = name, encode(describe_rules(rules)).decode(), author.etag
    row.updated_at, row.updated_by = author.at_ms, author.name
    await _store(session, name)
    return read_calendar(row)


async def delete_calendar(session: AsyncSession, row: CalendarRow) -> None:
    """Raises CalendarInUseError where live schedules name it."""
    await refuse_in_use(session, row)
    await session.delete(row)
    await session.flush()


async def refuse_in_use(session: AsyncSession, row: CalendarRow) -> None:
    """Raises CalendarInUseError where live schedules name the calendar."""
    users = await repository.list_calendar_users(session, row.workspace_id, row.name)
    if users:
        raise CalendarInUseError(row.name, [user.trigger_id for user in users])


async def _store(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError:
        raise CalendarExistsError(name) from None
