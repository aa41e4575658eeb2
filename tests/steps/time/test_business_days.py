from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.time.business_days import count_business_days


def count(data: str, **parameters: JsonValue) -> JsonObject:
    told = call_pure(count_business_days, {"data": data, **parameters})
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize(
    ("data", "parameters", "day"),
    [
        ("2026-03-06", {"add": 1}, "2026-03-09"),
        ("2026-03-07", {"add": 1}, "2026-03-09"),
        ("2026-03-07", {"add": 0}, "2026-03-09"),
        ("2026-03-06", {"add": 0}, "2026-03-06"),
        ("2026-03-09", {"add": -1}, "2026-03-06"),
        ("2026-03-07", {"add": -2}, "2026-03-05"),
        ("2026-12-24", {"add": 1, "calendar": {"country": "US"}}, "2026-12-28"),
        ("2026-06-03", {"add": 1, "calendar": {"country": "DE", "subdivision": "BY"}}, "2026-06-05"),
        ("2026-06-03", {"add": 1, "calendar": {"country": "DE", "subdivision": "HH"}}, "2026-06-04"),
        ("2026-03-05", {"add": 1, "calendar": {"weekend": ["friday"]}}, "2026-03-07"),
        ("2026-03-05", {"add": 1, "calendar": {"weekend": [], "holidays": ["2026-03-06"]}}, "2026-03-07"),
        ("2026-03-06", {"add": 1, "calendar": {"working_days": ["2026-03-07"]}}, "2026-03-07"),
        ("2026-10-09", {"add": 1, "calendar": {"country": "CN"}}, "2026-10-10"),
        ("2026-02-05", {"add": 1, "calendar": {"country": "SA"}}, "2026-02-08"),
    ],
)
def test_business_days_are_added(data: str, parameters: JsonObject, day: str):
    assert count(data, **parameters)["date"] == day


def test_the_time_of_day_stays():
    told = count("2026-03-27T22:30:00Z", add=1, timezone="Europe/Berlin")
    assert (told["date"], told["time"]) == ("2026-03-30", "2026-03-30T23:30:00+02:00")
    assert count("2026-03-27T22:30:00Z", add=1, timezone="Asia/Tokyo")["date"] == "2026-03-30"


def test_a_day_is_looked_at():
    calendar: JsonObject = {"country": "DE", "subdivision": "BY"}
    told = count("2026-04-03", calendar=calendar)
    assert (told["is_business_day"], told["holiday"], told["count"]) == (False, "Good Friday", 0)
    assert count("2026-04-04", calendar=calendar)["holiday"] is None
    assert count("2026-04-02", calendar=calendar)["is_business_day"] is True


DAYS = st.dates(date(2000, 1, 1), date(2040, 1, 1))


@given(DAYS, DAYS)
def test_counting_agrees_with_the_calendar(start: date, end: date):
    step = 1 if end >= start else -1
    days = [start + timedelta(days=number * step) for number in range(1, abs((end - start).days) + 1)]
    assert count(start.isoformat(), until=end.isoformat())["count"] == step * sum(day.weekday() < 5 for day in days)


@given(DAYS, st.integers(-300, 300))
def test_counting_is_the_way_back_from_adding(start: date, number: int):
    told = count(start.isoformat(), add=number, calendar={"country": "DE", "subdivision": "BY"})
    assert told["is_business_day"] is True
    again = count(start.isoformat(), until=told["date"], calendar={"country": "DE", "subdivision": "BY"})
    assert again["count"] == told["count"]
    assert told["count"] == number or number == 0


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"calendar": {"country": "ZZ"}}, "calendar_unknown"),
        ({"calendar": {"country": "DE", "subdivision": "Bayern!"}}, "calendar_unknown"),
        ({"calendar": {"holidays": ["2026-02-30"]}}, "time_invalid"),
        ({"data": "2026-2-03"}, "time_invalid"),
        ({"data": "yesterday's"}, "time_invalid"),
        ({"until": "2226-01-01"}, "span_too_long"),
        ({"data": "9999-12-30", "add": 5}, "date_range"),
    ],
)
def test_what_cannot_be_counted_is_told(parameters: JsonObject, code: str):
    with pytest.raises(FatalError) as caught:
        call_pure(count_business_days, {"data": "2026-03-01", **parameters})
    assert caught.value.code == code


@pytest.mark.parametrize(
    "parameters",
    [
        {"add": 1, "until": "2026-03-01"},
        {"add": 10_001},
        {"calendar": {"subdivision": "BY"}},
        {"calendar": {"weekend": ["funday"]}},
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(count_business_days, {"data": "2026-03-01", **parameters})
