import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.language.times import (
    TIME_MAX_NS,
    TIME_MIN_NS,
    TimeFault,
    format_duration_ms,
    format_duration_ns,
    format_timestamp_ms,
    format_timestamp_ns,
    parse_duration_ms,
    parse_duration_ns,
    parse_timestamp_ms,
    parse_timestamp_ns,
)

DURATIONS = [
    ("0s", 0),
    ("30s", 30_000),
    ("5m", 300_000),
    ("1h30m", 5_400_000),
    ("2h", 7_200_000),
    ("7d", 604_800_000),
    ("1w", 604_800_000),
    ("1w2d", 777_600_000),
    ("250ms", 250),
    ("1.5s", 1_500),
    ("1h0.5m", 3_630_000),
    ("PT5M", 300_000),
    ("PT1.5S", 1_500),
    ("P1D", 86_400_000),
    ("P1W", 604_800_000),
    ("P1DT2H", 93_600_000),
]


@pytest.mark.parametrize(("text", "length_ms"), DURATIONS, ids=[text for text, _ in DURATIONS])
def test_a_duration_is_read(text: str, length_ms: int):
    assert parse_duration_ms(text) == length_ms


NO_DURATIONS = [
    "", "30", "abc", "-", "P", "PT", "P1DT", "P1Y", "P1M", "1h1h", "30m1h", "1.5h30m", "5 m", " 5m", "5m\n", "1e9", "+5m", "５m", "1,5s",
    "s", "m5", "pt5m", "1" * 80 + "s", "-5m", "1us", "0.5ms",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_yml_24_what_is_no_duration_is_refused(text: str):
    with pytest.raises(TimeFault) as caught:
        parse_duration_ms(text)
    assert caught.value.code == "duration"


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [(0, "0s"), (5_400_000, "1h30m"), (604_800_000, "7d"), (1_500, "1s500ms"), (90_061_001, "1d1h1m1s1ms"), (-60_000, "-1m")],
)
def test_a_duration_has_one_canonical_text(length_ms: int, text: str):
    assert format_duration_ms(length_ms) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_duration_survives_writing_and_reading(length_ns: int):
    assert parse_duration_ns(format_duration_ns(length_ns)) == length_ns


TIMES = [
    ("1970-01-01T00:00:00Z", 0),
    ("2026-03-01T09:00:00+01:00", 1_772_352_000_000),
    ("2026-03-01t08:00:00z", 1_772_352_000_000),
    ("2026-03-01T08:00:00.123456Z", 1_772_352_000_123),
    ("1969-12-31T23:59:59.999Z", -1),
    ("2024-02-29T00:00:00-00:00", 1_709_164_800_000),
    ("0001-01-01T00:00:00Z", TIME_MIN_NS // 1_000_000),
]


@pytest.mark.parametrize(("text", "time_ms"), TIMES, ids=[text for text, _ in TIMES])
def test_a_time_is_read(text: str, time_ms: int):
    assert parse_timestamp_ms(text) == time_ms


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-03-01T08:00:00", "timestamp"),
        ("2026-03-01", "timestamp"),
        ("2026-03-01 08:00:00Z", "timestamp"),
        ("2026-02-30T08:00:00Z", "timestamp"),
        ("2026-13-01T08:00:00Z", "timestamp"),
        ("2026-03-01T24:00:00Z", "timestamp"),
        ("2026-03-01T08:60:00Z", "timestamp"),
        ("2026-03-01T08:00:60Z", "timestamp"),
        ("2026-03-01T08:00:00+24:00", "timestamp"),
        ("2026-03-01T08:00:00.1234567890Z", "timestamp"),
        ("2026-03-01T08:00:00Z\n", "timestamp"),
        ("２０26-03-01T08:00:00Z", "timestamp"),
        ("", "timestamp"),
        ("0000-01-01T00:00:00Z", "date_range"),
        ("99999-01-01T00:00:00Z", "date_range"),
        ("0001-01-01T00:00:00+00:01", "date_range"),
        ("9999-12-31T23:59:59-00:01", "date_range"),
    ],
)
def test_what_is_no_time_with_a_zone_is_refused(text: str, code: str):
    with pytest.raises(TimeFault) as caught:
        parse_timestamp_ms(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_772_352_000_123, "2026-03-01T08:00:00.123Z"), (-1, "1969-12-31T23:59:59.999Z")],
)
def test_a_time_has_one_canonical_text(time_ms: int, text: str):
    assert format_timestamp_ms(time_ms) == text


@given(st.integers(TIME_MIN_NS, TIME_MAX_NS))
def test_a_time_survives_writing_and_reading(time_ns: int):
    assert parse_timestamp_ns(format_timestamp_ns(time_ns)) == time_ns


@pytest.mark.parametrize("time_ns", [TIME_MIN_NS - 1, TIME_MAX_NS + 1])
def test_a_time_outside_the_years_is_not_written(time_ns: int):
    with pytest.raises(TimeFault, match="years 1 to 9999"):
        format_timestamp_ns(time_ns)
