from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, Operation
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.time.add import add_to_time
from flowforge.steps.time.between import measure_between
from flowforge.steps.time.convert import convert_time
from flowforge.steps.time.format import format_time
from flowforge.steps.time.parse import parse_time
from flowforge.steps.time.parts import take_apart

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"]
MOMENTS = st.datetimes(datetime(1975, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - the zone follows
    lambda moment: moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
)


def parse(data: JsonValue, **parameters: JsonValue) -> JsonValue:
    return call_pure(parse_time, {"data": data, **parameters})


def fault_of(operation: Operation, parameters: JsonObject) -> FatalError:
    with pytest.raises(FatalError) as caught:
        call_pure(operation, parameters)
    return caught.value


def as_moment(text: JsonValue) -> datetime:
    assert isinstance(text, str)
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z"),
        ("2026-03-01t09:00:00.5+01:00", "2026-03-01T08:00:00.500Z"),
        ("2026-03-01 08:00", "2026-03-01T08:00:00Z"),
        ("2026-03-01 08:00 +01", "2026-03-01T07:00:00Z"),
        ("20260301T080000Z", "2026-03-01T08:00:00Z"),
        ("2026-03-01T08:00:00,123456789Z", "2026-03-01T08:00:00.123456789Z"),
        ("2026-07-01T08:00:00[Europe/Berlin]", "2026-07-01T06:00:00Z"),
        ("2026-03", "2026-03-01T00:00:00Z"),
        ("2026-060", "2026-03-01T00:00:00Z"),
        ("2026-W09-7", "2026-03-01T00:00:00Z"),
        ("2026-W09", "2026-02-23T00:00:00Z"),
        ("20260301", "2026-03-01T00:00:00Z"),
        ("Sun, 01 Mar 2026 08:00:00 GMT", "2026-03-01T08:00:00Z"),
        ("1 Mar 26 08:00 EST (a comment)", "2026-03-01T13:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1.5, "1969-12-31T23:59:58.500Z"),
        (1772352000, "2026-03-01T08:00:00Z"),
        (1772352000123, "2026-03-01T08:00:00.123Z"),
        ("1772352000.25", "2026-03-01T08:00:00.250Z"),
    ],
)
def test_known_forms_are_read(text: JsonValue, time: str):
    assert parse(text) == time


def test_numbers_count_what_is_asked_for():
    assert parse("1000", form="epoch_ms") == "1970-01-01T00:00:01Z"
    assert parse(1000, form="epoch_s") == "1970-01-01T00:16:40Z"
    assert parse(200_000_000_000, form="epoch_s").__class__ is str


@pytest.mark.parametrize(
    ("text", "pattern", "time"),
    [
        ("01.03.2026", "%d.%m.%Y", "2026-03-01T00:00:00Z"),
        ("1.3.26 8:05", "%d.%m.%y %H:%M", "2026-03-01T08:05:00Z"),
        ("03/01/2026 08:00:07 PM", "%m/%d/%Y %I:%M:%S %p", "2026-03-01T20:00:07Z"),
        ("12 a.m., march 1 2026", "%I %p, %B %d %Y", "2026-03-01T00:00:00Z"),
        ("Sunday, 1 Mar 1999  8h +0530", "%A, %d %b %Y %Hh %z", None),
        ("Monday, 1 Mar 1999  8h +0530", "%A, %d %b %Y %Hh %z", "1999-03-01T02:30:00Z"),
        ("2026-060 08:00:00.25", "%Y-%j %T.%f", "2026-03-01T08:00:00.250Z"),
        ("2026W09-7", "%GW%V-%u", "2026-03-01T00:00:00Z"),
        ("2026-07-01 08:00 Europe/Berlin", "%F %H:%M %Z", "2026-07-01T06:00:00Z"),
        ("at 1772352000!", "at %s!", "2026-03-01T08:00:00Z"),
        ("100% 2026", "100%% %Y", "2026-01-01T00:00:00Z"),
        ("31/12/70", "%d/%m/%y", "1970-12-31T00:00:00Z"),
    ],
)
def test_patterns_are_read(text: str, pattern: str, time: str | None):
    given_: JsonObject = {"data": text, "form": "pattern", "pattern": pattern}
    if time is None:
        assert "is a Monday, not a Sunday" in fault_of(parse_time, given_).message
    else:
        assert call_pure(parse_time, given_) == time


@pytest.mark.parametrize(
    ("text", "pattern", "part"),
    [
        ("2026-02-30", None, "day"),
        ("2026-13-01", None, "month"),
        ("2025-02-29", None, "day"),
        ("2026-03-01T24:00", None, "hour"),
        ("2026-03-01T08:61", None, "minute"),
        ("2026-03-01T08:00:60Z", None, "second"),
        ("2026-366", None, "day of the year"),
        ("2026-W54-1", None, "week"),
        ("2026-W09-8", None, "day of the week"),
        ("2026-03-01T08:00+25:00", None, "offset"),
        ("Mon, 01 Mar 2026 08:00:00 GMT", None, "day of the week"),
        ("01 Foo 2026 08:00:00 GMT", None, "month"),
        ("01 Mar 2026 08:00:00 CET", None, "time zone"),
        ("tomorrow", None, "form"),
        ("", None, "form"),
        ("01.03", "%d.%m", "year"),
        ("01.03.2026x", "%d.%m.%Y", "end"),
        ("01-03-2026", "%d.%m.%Y", "text"),
        ("xx.03.2026", "%d.%m.%Y", "day"),
        ("01 Mra 2026", "%d %b %Y", "month"),
        ("13 PM 2026", "%I %p %Y", "hour"),
        ("11 2026", "%I %Y", "hour"),
    ],
)
def test_a_time_that_is_none_is_told_by_its_part(text: str, pattern: str | None, part: str):
    given_: JsonObject = {"data": text} if pattern is None else {"data": text, "form": "pattern", "pattern": pattern}
    error = fault_of(parse_time, given_)
    assert error.code == "time_invalid"
    assert isinstance(error.details, dict)
    assert error.details["part"] == part


@pytest.mark.parametrize(
    ("local", "ambiguous", "time"),
    [
        ("2026-03-29 02:30", "compatible", "2026-03-29T03:30:00+02:00"),
        ("2026-03-29 02:30", "later", "2026-03-29T03:30:00+02:00"),
        ("2026-03-29 02:30", "earlier", "2026-03-29T01:30:00+01:00"),
        ("2026-03-29 02:30", "fail", None),
        ("2026-10-25 02:30", "compatible", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25 02:30", "earlier", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25 02:30", "later", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25 02:30", "fail", None),
        ("2026-10-25 03:30", "fail", "2026-10-25T03:30:00+01:00"),
    ],
)
def test_hours_that_are_there_twice_or_never(local: str, ambiguous: str, time: str | None):
    given_: JsonObject = {"data": local, "timezone": "Europe/Berlin", "ambiguous": ambiguous}
    if time is None:
        error = fault_of(parse_time, given_)
        assert error.code == "time_invalid"
        assert "Europe/Berlin" in error.message
    else:
        assert call_pure(parse_time, given_) == time


@given(MOMENTS, st.sampled_from(ZONES))
def test_what_is_written_by_a_pattern_is_read_again(moment: str, zone: str):
    pattern = "%A %-d. %B %Y, %I:%M:%S %p .%N %z"
    told = call_pure(format_time, {"data": moment, "form": "pattern", "pattern": pattern, "timezone": zone})
    again = parse(told, form="pattern", pattern=pattern)
    assert as_moment(again) == as_moment(moment)


@given(MOMENTS, st.sampled_from(["rfc3339", "rfc2822", "http", "epoch_s", "epoch_ms"]), st.sampled_from(ZONES))
def test_what_is_written_in_a_form_is_read_again(moment: str, form: str, zone: str):
    told = call_pure(format_time, {"data": moment, "form": form, "timezone": zone})
    lost = timedelta(0) if form == "rfc3339" else timedelta(milliseconds=1) if form == "epoch_ms" else timedelta(seconds=1)
    as_form = {"epoch_s": "epoch_s", "epoch_ms": "epoch_ms"}.get(form, "auto")
    difference = as_moment(moment) - as_moment(parse(told, form=as_form))
    assert difference == timedelta(0) or timedelta(0) <= difference < lost


@given(MOMENTS, st.sampled_from(ZONES))
def test_times_in_zones_agree_with_the_standard_library(moment: str, zone: str):
    told = call_pure(convert_time, {"data": moment, "timezone": zone})
    expected = as_moment(moment).astimezone(ZoneInfo(zone))
    assert as_moment(told) == expected
    assert as_moment(told).replace(tzinfo=None) == expected.replace(tzinfo=None)
    parts = call_pure(take_apart, {"data": moment, "timezone": zone})
    assert isinstance(parts, dict)
    assert (parts["year"], parts["month"], parts["day"], parts["hour"]) == (
        expected.year,
        expected.month,
        expected.day,
        expected.hour,
    )
    assert (parts["iso_year"], parts["iso_week"], parts["weekday"]) == tuple(expected.isocalendar())
    assert parts["day_of_year"] == expected.timetuple().tm_yday
    assert parts["abbreviation"] == expected.tzname()
    assert parts["is_summer_time"] is bool(expected.dst())


def add(time: str, **parameters: JsonValue) -> JsonValue:
    return call_pure(add_to_time, {"data": time, **parameters})


@pytest.mark.parametrize(
    ("time", "parameters", "sum_"),
    [
        ("2026-01-31T10:00:00Z", {"months": 1}, "2026-02-28T10:00:00Z"),
        ("2024-02-29T10:00:00Z", {"years": 1}, "2025-02-28T10:00:00Z"),
        ("2026-03-31T10:00:00Z", {"months": -1, "days": 1}, "2026-03-01T10:00:00Z"),
        ("2026-01-31T10:00:00Z", {"months": 1, "weeks": -1, "days": -1, "duration": "-1h30m"}, "2026-02-20T08:30:00Z"),
        ("2026-10-24T12:00:00+02:00", {"days": 1, "timezone": "Europe/Berlin"}, "2026-10-25T12:00:00+01:00"),
        ("2026-10-24T12:00:00+02:00", {"duration": "1d", "timezone": "Europe/Berlin"}, "2026-10-25T11:00:00+01:00"),
        ("2026-03-28T02:30:00+01:00", {"days": 1, "timezone": "Europe/Berlin"}, "2026-03-29T03:30:00+02:00"),
        (
            "2026-03-28T02:30:00+01:00",
            {"days": 1, "timezone": "Europe/Berlin", "ambiguous": "earlier"},
            "2026-03-29T01:30:00+01:00",
        ),
        ("2026-05-20T10:11:12Z", {"start_of": "year"}, "2026-01-01T00:00:00Z"),
        ("2026-05-20T10:11:12Z", {"start_of": "quarter"}, "2026-04-01T00:00:00Z"),
        ("2026-05-20T10:11:12Z", {"start_of": "week"}, "2026-05-18T00:00:00Z"),
        ("2026-05-20T10:11:12Z", {"start_of": "hour"}, "2026-05-20T10:00:00Z"),
        ("2026-05-20T23:00:00Z", {"start_of": "day", "timezone": "Europe/Berlin"}, "2026-05-21T00:00:00+02:00"),
        ("2026-05-20T10:00:00+02:00", {}, "2026-05-20T08:00:00Z"),
    ],
)
def test_a_calendar_is_counted_on(time: str, parameters: JsonObject, sum_: str):
    assert add(time, **parameters) == sum_


AMOUNTS = st.fixed_dictionaries({"years": st.integers(0, 50), "months": st.integers(0, 11), "days": st.integers(0, 27)})


@given(MOMENTS, AMOUNTS, st.integers(0, 10**7), st.sampled_from(ZONES))
def test_between_counts_what_was_added(moment: str, amounts: dict[str, int], seconds: int, zone: str):
    later = add(moment, **amounts, timezone=zone)
    assert isinstance(later, str)
    units: list[JsonValue] = ["years", "months", "days"]
    told = call_pure(measure_between, {"start": moment, "end": later, "units": units, "timezone": zone})
    assert isinstance(told, dict)
    parts = told["parts"]
    assert isinstance(parts, dict)
    # A month has several lengths, so the parts need not be those that were added; but they lead to the same day.
    rest = as_moment(later) - as_moment(add(moment, timezone=zone, **parts))
    assert timedelta(0) <= rest < timedelta(hours=25)
    exact = add(moment, duration=f"{seconds}s", timezone=zone)
    told = call_pure(measure_between, {"start": moment, "end": exact, "units": ["seconds"], "timezone": zone})
    assert isinstance(told, dict)
    assert told["parts"] == {"seconds": seconds}
    assert told["milliseconds"] == seconds * 1000


@given(MOMENTS, MOMENTS, st.sampled_from(ZONES))
def test_exact_parts_add_up(start: str, end: str, zone: str):
    units: list[JsonValue] = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds"]
    told = call_pure(measure_between, {"start": start, "end": end, "units": units, "days": "exact", "timezone": zone})
    assert isinstance(told, dict)
    parts = told["parts"]
    assert isinstance(parts, dict)
    length = timedelta(**{unit: number for unit, number in parts.items() if isinstance(number, int)})
    difference = as_moment(end) - as_moment(start)
    assert abs(difference - length) < timedelta(milliseconds=1)
    assert len({number > 0 for number in parts.values() if isinstance(number, int) and number}) <= 1


def test_calendar_days_and_milliseconds_go_together():
    night: JsonObject = {"start": "2026-03-28T20:00:00.5+01:00", "end": "2026-03-29T20:00:00+02:00", "timezone": "Europe/Berlin"}
    told = call_pure(measure_between, {**night, "units": ["days", "hours", "milliseconds"]})
    assert isinstance(told, dict)
    assert told["parts"] == {"days": 0, "hours": 22, "milliseconds": 3_599_500}
    back = call_pure(
        measure_between, {"start": night["end"], "end": night["start"], "units": ["hours"], "timezone": "Europe/Berlin"}
    )
    assert isinstance(back, dict)
    assert (back["parts"], back["text"]) == ({"hours": -22}, "-22h59m59s500ms")


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("date", "2026-07-05"),
        ("time", "20:05:07"),
        ("rfc2822", "Sun, 05 Jul 2026 20:05:07 +0200"),
        ("http", "Sun, 05 Jul 2026 18:05:07 GMT"),
        ("human", "Sunday, 5 July 2026, 20:05 CEST"),
        ("human_date", "5 July 2026"),
        ("rfc3339", "2026-07-05T20:05:07.125+02:00"),
        ("epoch_ms", 1783274707125),
    ],
)
def test_a_time_is_written_in_many_forms(form: str, told: JsonValue):
    assert call_pure(format_time, {"data": "2026-07-05T18:05:07.125Z", "form": form, "timezone": "Europe/Berlin"}) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "now"),
        (1, "in 1 second"),
        (-119, "1 minute ago"),
        (-7200, "2 hours ago"),
        (90_000, "in 1 day"),
        (-40_000_000, "1 year ago"),
    ],
)
def test_a_distance_is_told(seconds: int, told: str):
    base = "2026-01-01T00:00:00Z"
    data = add(base, duration=f"{seconds}s")
    assert call_pure(format_time, {"data": data, "form": "relative", "relative_to": base}) == told


def test_every_letter_of_a_pattern_is_written():
    pattern = "%Y %y %m %B %b %d %-d %j %G %V %u %A %a %H %I %p %M %S %L %f %N %z %:z %Z %s %F %T %R %%"
    told = call_pure(
        format_time, {"data": "2026-01-02T03:04:05.006Z", "form": "pattern", "pattern": pattern, "timezone": "America/New_York"}
    )
    assert told == (
        "2026 26 01 January Jan 01 1 001 2026 01 4 Thursday Thu 22 10 PM 04 05 006 006000 006000000 -0500 -05:00 EST 1767323045 "
        "2026-01-01 22:04:05 22:04 %"
    )


@pytest.mark.parametrize("zone", ["CEST", "GMT+2", "Mars/X", "../../x", "/etc/passwd", ".", " ", "UTC\0", "CET-1CEST,M3.5.0"])
def test_a_zone_that_is_none_is_refused(zone: str):
    for operation, time in (
        (convert_time, "2026-01-01T00:00:00Z"),
        (take_apart, "2026-01-01T00:00:00Z"),
        (parse_time, "2026-01-01"),
    ):
        assert fault_of(operation, {"data": time, "timezone": zone}).code == "timezone_unknown"


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        (convert_time, {"data": "tomorrow", "timezone": "UTC"}, "time_invalid"),
        (convert_time, {"data": "2026-02-30T00:00:00Z", "timezone": "UTC"}, "time_invalid"),
        (convert_time, {"data": "99999-01-01T00:00:00Z", "timezone": "UTC"}, "date_range"),
        (convert_time, {"data": "9999-12-31T23:00:00Z", "timezone": "Asia/Tokyo"}, "date_range"),
        (add_to_time, {"data": "9999-12-31T00:00:00Z", "days": 1}, "date_range"),
        (add_to_time, {"data": "2026-01-01T00:00:00Z", "years": -9999}, "date_range"),
        (add_to_time, {"data": "2026-01-01T00:00:00Z", "duration": "soon"}, "duration"),
        (parse_time, {"data": 10**14, "form": "epoch_s"}, "date_range"),
        (parse_time, {"data": 1e300}, "time_invalid"),
        (parse_time, {"data": "0000-01-01"}, "date_range"),
    ],
)
def test_what_is_out_of_range_is_told(operation: Operation, parameters: JsonObject, code: str):
    assert fault_of(operation, parameters).code == code


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        (parse_time, {"data": "x", "form": "pattern"}),
        (parse_time, {"data": "x", "pattern": "%Y"}),
        (parse_time, {"data": "x", "form": "pattern", "pattern": "%Q"}),
        (parse_time, {"data": "x", "form": "pattern", "pattern": "50%"}),
        (parse_time, {"data": True}),
        (parse_time, {"data": "2" * 201}),
        (format_time, {"data": "2026-01-01T00:00:00Z", "form": "relative"}),
        (measure_between, {"start": "x", "end": "x", "units": ["days", "years"]}),
        (measure_between, {"start": "x", "end": "x", "units": ["days", "days"]}),
        (measure_between, {"start": "x", "end": "x", "units": ["months"], "days": "exact"}),
    ],
)
def test_parameters_that_cannot_be_are_refused(operation: Operation, parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(operation, parameters)
