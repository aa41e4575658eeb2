"""Slots where the clocks change, in zones with odd offsets, and against a reference that counts minute by minute."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.triggers.cron import Cron, parse_cron
from flowforge.triggers.schedule_errors import ScheduleError
from flowforge.triggers.schedule_times import Schedule, Slot, find_next, list_slots
from flowforge.triggers.schedule_zones import find_offset_s, find_zone

DAY_MS = 86_400_000
TEN_YEARS_MS = 3_650 * DAY_MS


def make_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def show(slot: Slot) -> str:
    return datetime.fromtimestamp(slot.at_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def schedule(cron: str, zone: str) -> Schedule:
    return Schedule(find_zone(zone), parse_cron(cron, least_gap_ms=60_000))


def list_shown(cron: str, zone: str, after: str, until: str) -> list[str]:
    return [show(slot) for slot in list_slots(schedule(cron, zone), make_ms(after), make_ms(until), 200)]


def test_f44_a_time_of_day_that_the_clocks_skip_fires_once_after_the_gap():
    began = time.perf_counter()
    slots = list_slots(schedule("30 2 * * *", "Europe/Berlin"), make_ms("2027-03-27T12:00Z"), make_ms("2027-03-29T12:00Z"), 9)
    assert time.perf_counter() - began < 0.5
    assert [(show(slot), slot.nominal, slot.is_moved) for slot in slots] == [
        ("2027-03-28T01:00Z", "2027-03-28T02:30:00", True),
        ("2027-03-29T00:30Z", "2027-03-29T02:30:00", False),
    ]


def test_f44_the_search_over_a_gap_takes_no_time():
    wanted = schedule("30 2 * * *", "Europe/Berlin")
    find_next(wanted, make_ms("2027-03-27T12:00Z"), make_ms("2028-03-27T12:00Z"))
    began = time.perf_counter()
    find_next(wanted, make_ms("2027-03-27T12:00Z"), make_ms("2028-03-27T12:00Z"))
    assert time.perf_counter() - began < 0.01


def test_f44_several_skipped_times_are_one_run():
    assert list_shown("0,15,30 2,3 * * *", "Europe/Berlin", "2027-03-28T00:00Z", "2027-03-28T02:00Z") == [
        "2027-03-28T01:00Z",
        "2027-03-28T01:15Z",
        "2027-03-28T01:30Z",
    ]


def test_f45_a_time_of_day_that_comes_twice_fires_the_first_time():
    assert list_shown("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00Z", "2027-11-01T12:00Z") == [
        "2027-10-31T00:30Z",
        "2027-11-01T01:30Z",
    ]


def test_f45_time_that_passes_goes_on_through_the_hour_that_comes_twice():
    shown = list_shown("*/15 * * * *", "Europe/Berlin", "2027-10-30T23:59Z", "2027-10-31T01:59Z")
    assert shown == [f"2027-10-31T0{hour}:{minute:02d}Z" for hour in (0, 1) for minute in (0, 15, 30, 45)]


def test_f44_time_that_passes_has_no_slot_in_a_gap():
    shown = list_shown("*/30 * * * *", "Europe/Berlin", "2027-03-28T00:00Z", "2027-03-28T01:30Z")
    assert shown == ["2027-03-28T00:30Z", "2027-03-28T01:00Z", "2027-03-28T01:30Z"]


def test_f44_six_fields_follow_the_clocks_as_five_do():
    def list_two(text: str, after: str) -> list[tuple[str, bool]]:
        seconds = Schedule(find_zone("Europe/Berlin"), parse_cron(text, least_gap_ms=1_000))
        return [(slot.nominal, slot.is_moved) for slot in list_slots(seconds, make_ms(after), make_ms("2027-12-31T00:00Z"), 2)]

    assert list_two("30 30 2 * * *", "2027-03-27T12:00Z") == [("2027-03-28T02:30:30", True), ("2027-03-29T02:30:30", False)]
    assert list_two("*/20 * * * * *", "2027-03-28T00:59:39Z") == [
        ("2027-03-28T01:59:40", False),
        ("2027-03-28T03:00:00", False),
    ]


@pytest.mark.parametrize("name", ["CEST", "GMT+2", "Mars/X", "../../x", "", "europe/berlin", "Europe/Berlin ", "localtime"])
def test_cron_28_unknown_zones_are_refused(name: str):
    with pytest.raises(ScheduleError) as caught:
        find_zone(name)
    assert caught.value.details[0].code == "timezone"


def test_cron_28_the_zone_that_was_meant_is_named():
    with pytest.raises(ScheduleError, match="Europe/Berlin"):
        find_zone("europe/berlin")


def test_cron_29_old_and_new_names_are_the_same_zone():
    before, until = "2027-01-01T00:00Z", "2027-01-02T00:00Z"
    assert list_shown("0 7 * * *", "Europe/Kyiv", before, until) == list_shown("0 7 * * *", "Europe/Kiev", before, until)


@pytest.mark.parametrize(
    ("zone", "cron", "after", "shown"),
    [
        ("Asia/Kathmandu", "0 7 * * *", "2027-01-01T00:00Z", ["2027-01-01T01:15Z", "2027-01-02T01:15Z"]),
        ("Asia/Kolkata", "30 0 * * *", "2027-01-01T00:00Z", ["2027-01-01T19:00Z", "2027-01-02T19:00Z"]),
        # Lord Howe puts its clocks by half an hour: 02:15 is skipped on 3 October 2027, and comes twice (01:30 to 02:00) on 4 April.
        ("Australia/Lord_Howe", "15 2 * * *", "2027-10-02T00:00Z", ["2027-10-02T15:30Z", "2027-10-03T15:15Z"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2027-04-03T12:00Z", ["2027-04-03T14:45Z", "2027-04-04T15:15Z"]),
        ("Pacific/Apia", "0 12 30 12 *", "2011-12-29T00:00Z", ["2011-12-30T10:00Z", "2012-12-29T22:00Z"]),
    ],
)
def test_cron_30_zones_with_odd_offsets(zone: str, cron: str, after: str, shown: list[str]):
    slots = list_slots(schedule(cron, zone), make_ms(after), make_ms(after) + TEN_YEARS_MS, 2)
    assert [show(slot) for slot in slots] == shown


def test_cron_31_a_day_without_midnight_has_its_run():
    slots = list_slots(schedule("0 0 * * *", "America/Santiago"), make_ms("2027-09-03T12:00Z"), make_ms("2027-09-06T12:00Z"), 9)
    assert [(show(slot), slot.nominal[:10]) for slot in slots] == [
        ("2027-09-04T04:00Z", "2027-09-04"),
        ("2027-09-05T04:00Z", "2027-09-05"),
        ("2027-09-06T03:00Z", "2027-09-06"),
    ]


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Africa/Casablanca",
]


def list_reference(cron: Cron, zone: ZoneInfo, start_s: int, minutes: int) -> list[int]:
    """Minute by minute of UTC: what the clock shows, whether it showed it before, and what it skipped since the minute before."""
    found: list[int] = []
    shown: set[datetime] = set()
    before: datetime | None = None
    for at_s in range(start_s - 86_400, start_s + minutes * 60, 60):
        wall = datetime.fromtimestamp(at_s, zone).replace(tzinfo=None)
        skipped: list[datetime] = []
        while before is not None and (before := before + timedelta(minutes=1)) < wall:
            skipped.append(before)
        walls = [wall] if cron.is_elapsed else [place for place in [*skipped, wall] if place not in shown]
        if any(matches(cron, place) for place in walls) and at_s > start_s:
            found.append(at_s)
        shown.add(wall)
        before = wall
    return found


def matches(cron: Cron, wall: datetime) -> bool:
    return wall.minute in cron.minutes and wall.hour in cron.hours and cron.matches_day(wall.date())


def fields(lowest: int, highest: int) -> st.SearchStrategy[str]:
    number = st.integers(lowest, highest)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, highest)
    stepped = st.tuples(st.one_of(st.just("*"), span), step).map(lambda parts: f"{parts[0]}/{parts[1]}")
    single = number.map(str)
    listed = st.lists(st.one_of(single, span), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), single, stepped, listed)


EXPRESSIONS = st.tuples(
    fields(0, 59),
    fields(0, 23),
    st.one_of(st.just("*"), fields(1, 28)),
    st.one_of(st.just("*"), st.just("*"), fields(1, 12)),
    st.one_of(st.just("*"), fields(0, 7)),
).map(" ".join)

# Around changes of the clocks, and anywhere in three years.
STARTS = st.one_of(
    st.integers(make_ms("2026-01-01T00:00Z") // 60_000, make_ms("2029-01-01T00:00Z") // 60_000),
    st.sampled_from(["2027-03-27", "2027-10-30", "2027-03-13", "2027-11-06", "2027-04-02", "2027-10-01", "2027-09-03"]).map(
        lambda day: make_ms(f"{day}T18:00Z") // 60_000
    ),
)


@settings(max_examples=150, deadline=None)
@given(text=EXPRESSIONS, zone=st.sampled_from(ZONES), start=STARTS)
def test_cron_40_the_slots_are_those_of_a_count_minute_by_minute(text: str, zone: str, start: int):
    cron, minutes = parse_cron(text, least_gap_ms=60_000), 2_000
    wanted = list_reference(cron, ZoneInfo(zone), start * 60, minutes)
    until_ms = (start + minutes) * 60_000 - 1
    slots = list_slots(Schedule(find_zone(zone), cron), start * 60_000, until_ms, 3_000)
    assert [slot.at_ms // 1_000 for slot in slots] == wanted


@settings(max_examples=250, deadline=None)
@given(text=EXPRESSIONS, zone=st.sampled_from(ZONES), start=STARTS)
def test_cron_40_the_next_slot_is_later_and_matches_its_fields(text: str, zone: str, start: int):
    """Forty slots, one after the other, of each of 250 expressions: 10,000 samples."""
    cron, after_ms, until_ms = parse_cron(text, least_gap_ms=60_000), start * 60_000, start * 60_000 + TEN_YEARS_MS
    schedule, wall = Schedule(find_zone(zone), cron), ZoneInfo(zone)
    for _ in range(40):
        slot = find_next(schedule, after_ms, until_ms)
        if slot is None:
            return  # a day of the week in a month that has it on no such day within ten years
        assert slot.at_ms > after_ms
        nominal = datetime.fromisoformat(slot.nominal)
        assert matches(cron, nominal)
        shown = datetime.fromtimestamp(slot.at_ms / 1_000, wall).replace(tzinfo=None)
        assert slot.is_moved or shown == nominal
        after_ms = slot.at_ms


def test_offsets_are_those_of_the_zone():
    assert find_offset_s(ZoneInfo("America/St_Johns"), make_ms("2027-01-01T00:00Z") // 1_000) == -12_600
