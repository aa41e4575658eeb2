"""The grammar of cron expressions: what is read, how, and what is refused with which code."""

import time
from datetime import date, timedelta

import pytest

from flowforge.triggers.cron import Cron, explain_cron, find_wall_s, parse_cron
from flowforge.triggers.schedule_errors import CronError

MINUTE_MS = 60_000


def read(text: str, least_gap_ms: int = MINUTE_MS) -> Cron:
    return parse_cron(text, least_gap_ms=least_gap_ms)


def find_code(text: str, least_gap_ms: int = MINUTE_MS) -> str:
    with pytest.raises(CronError) as caught:
        read(text, least_gap_ms)
    assert caught.value.field == "cron"
    return caught.value.details[0].code


@pytest.mark.parametrize(
    ("case", "text", "code"),
    [
        ("cron_01_empty", "", "cron_syntax"),
        ("cron_01_spaces", "   ", "cron_syntax"),
        ("cron_02_four", "* * * *", "cron_fields"),
        ("cron_02_eight", "* * * * * * * *", "cron_fields"),
        ("cron_03", "0 * * * * *", "cron_fields"),
        ("cron_05", "*/0 * * * *", "cron_step"),
        ("cron_06_negative", "*/-5 * * * *", "cron_step"),
        ("cron_06_fraction", "*/1.5 * * * *", "cron_step"),
        ("cron_06_large", "*/99999999999 * * * *", "cron_step"),
        ("cron_06_above_the_field", "*/60 * * * *", "cron_step"),
        ("cron_06_none", "*/ * * * *", "cron_step"),
        ("cron_07_minute", "60 * * * *", "cron_range"),
        ("cron_07_hour", "* 24 * * *", "cron_range"),
        ("cron_07_day", "* * 32 * *", "cron_range"),
        ("cron_07_month", "* * * 13 *", "cron_range"),
        ("cron_07_weekday", "* * * * 8", "cron_range"),
        ("cron_07_digits", f"{'1' * 200} * * * *", "cron_range"),
        ("cron_08_day", "* * 0 * *", "cron_range"),
        ("cron_08_month", "* * * 0 *", "cron_range"),
        ("cron_10", "5-1 * * * *", "cron_range"),
        ("cron_11", "0 0 * * FRI-MON", "cron_range"),
        ("cron_12_gap", "1,2,,3 * * * *", "cron_syntax"),
        ("cron_12_trailing", "1,2, * * * *", "cron_syntax"),
        ("cron_13_ranges", "1-2-3 * * * *", "cron_syntax"),
        ("cron_13_steps", "1/2/3 * * * *", "cron_syntax"),
        ("cron_13_star_range", "*-5 * * * *", "cron_syntax"),
        ("cron_14_question", "0 0 ? * 1", "cron_unsupported"),
        ("cron_14_last", "0 0 L * *", "cron_unsupported"),
        ("cron_14_last_friday", "0 0 * * 5L", "cron_unsupported"),
        ("cron_14_weekday", "0 0 15W * *", "cron_unsupported"),
        ("cron_14_last_weekday", "0 0 LW * *", "cron_unsupported"),
        ("cron_14_nth", "0 0 * * 5#2", "cron_unsupported"),
        ("cron_15", "H * * * *", "cron_unsupported"),
        ("cron_15_range", "H(0-29)/10 * * * *", "cron_unsupported"),
        ("cron_16", "@reboot", "cron_syntax"),
        ("cron_17_unknown", "@fortnightly", "cron_syntax"),
        ("cron_17_more", "@daily @weekly", "cron_syntax"),
        ("cron_18", "0 0 30 2 *", "cron_never"),
        ("cron_19", "0 0 31 4,6,9,11 *", "cron_never"),
        ("cron_21_long", "0 0 1 january *", "cron_syntax"),
        ("cron_21_other_field", "JAN * * * *", "cron_syntax"),
        ("cron_22", "١ * * * *", "cron_syntax"),
        ("cron_23_nbsp", "*\u00a0* * * *", "cron_syntax"),
        ("cron_24_inside", "* *\n* * *", "cron_syntax"),
        ("cron_24_first", "\n* * * * *", "cron_syntax"),
        ("cron_24_control", "*\x00 * * * *", "cron_syntax"),
        ("cron_25", "1," * 5_000 + "1 * * * *", "cron_length"),
    ],
)
def test_cron_refused_expressions(case: str, text: str, code: str):
    assert find_code(text) == code, case


def test_cron_03_six_fields_are_read_below_a_minute_with_the_seconds_first():
    cron = read("*/10 30 7 * * *", 1_000)
    assert (cron.seconds, cron.minutes, cron.hours) == ((0, 10, 20, 30, 40, 50), (30,), (7,))
    assert find_code("*/10 * * * * *", 15_000) == "cron_min"
    assert find_code("0,59 * * * * *", 15_000) == "cron_min", "the gap over the minute's end counts"
    assert find_code("* * * * * * *", 1_000) == "cron_fields"


def test_cron_04_every_minute_is_the_least():
    assert read("* * * * *").measure_gap_s() == 60
    assert find_code("* * * * *", 120_000) == "cron_min"
    assert find_code("0 0,23 * * *", 7_200_000) == "cron_min", "the gap over midnight counts"
    assert read("0 7 * * *", 86_400_000).measure_gap_s() == 86_400


def test_cron_09_seven_and_zero_are_both_sunday():
    assert read("0 0 * * 7").weekdays == read("0 0 * * 0").weekdays == read("0 0 * * SUN").weekdays == {0}
    assert read("0 0 * * 5-7").weekdays == {5, 6, 0}


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("@daily", "0 0 * * *"),
        ("@DAILY", "0 0 * * *"),
        ("@yearly ", "0 0 1 1 *"),
        ("@hourly", "0 * * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_cron_17_names_are_normalised(text: str, normal: str):
    assert read(text).text == normal


def test_cron_18_19_impossible_days_are_found_at_once():
    began = time.perf_counter()
    for _ in range(100):
        assert find_code("0 0 30 2 *") == "cron_never"
        assert find_code("0 0 31 4,6,9,11 *") == "cron_never"
    assert (time.perf_counter() - began) / 100 < 0.1


EITHER_DAY: list[tuple[str, list[int]]] = [
    # April 2026: the 1st is a Wednesday. Both restricted: either counts.
    ("0 0 1 * 1", [1, 6, 13, 20, 27]),
    ("0 0 13 * 5", [3, 10, 13, 17, 24]),
    ("0 0 1,15 * MON", [1, 6, 13, 15, 20, 27]),
    ("0 0 10-12 * 0", [5, 10, 11, 12, 19, 26]),
    ("0 0 31 * 3", [1, 8, 15, 22, 29]),
    ("0 0 1-31/10 * SAT", [1, 4, 11, 18, 21, 25]),
    ("0 0 1-31 * 1", list(range(1, 31))),
    ("0 0 30 4 7", [5, 12, 19, 26, 30]),
    ("0 0 2 * 4", [2, 9, 16, 23, 30]),
    ("0 0 1 * 0-6", list(range(1, 31))),
    ("0 0 6 * MON", [6, 13, 20, 27]),
    # One of them begins with `*`: both must match.
    ("0 0 * * 1", [6, 13, 20, 27]),
    ("0 0 13 * *", [13]),
    ("0 0 */2 * 1", [13, 27]),
    ("0 0 13 * */2", []),
    ("0 0 14 * */2", [14]),
    ("0 0 */10 * */3", [1, 11]),
    ("0 0 * * *", list(range(1, 31))),
    ("0 0 */31 * *", [1]),
    ("0 0 * * */7", [5, 12, 19, 26]),
]


@pytest.mark.parametrize(("text", "days"), EITHER_DAY)
def test_cron_20_both_day_fields_mean_either(text: str, days: list[int]):
    cron = read(text)
    april = [date(2026, 4, 1) + timedelta(days=place) for place in range(30)]
    assert [day.day for day in april if cron.matches_day(day)] == days


def test_cron_21_names_of_months_and_days_in_any_case():
    assert read("0 0 1 jan *") == read("0 0 1 JAN *")
    assert read("0 0 * jan-mar mon,wed").months == {1, 2, 3}


def test_cron_23_tabs_separate_fields():
    assert read("\t0\t7 * \t* 1-5 ").text == "0 7 * * 1-5"


def test_cron_25_the_longest_expression_is_read():
    assert read(f"{'1,' * 123}11 * * * *").minutes == (1, 11)


def test_cron_26_a_step_begins_anew_in_each_hour():
    assert read("*/7 * * * *").minutes == (0, 7, 14, 21, 28, 35, 42, 49, 56)
    assert read("5/20 * * * *").minutes == (5, 25, 45), "from five to the end"


def test_a_time_is_found_within_the_window_only():
    cron = read("0 0 1 1 *")
    assert find_wall_s(cron, 0, 1) == 0
    assert find_wall_s(cron, 1, 365 * 86_400) is None
    assert find_wall_s(cron, 1, 365 * 86_400 + 1) == 365 * 86_400


def test_an_expression_is_explained_in_words():
    assert explain_cron(read("0 7 * * 1-5")) == "At 07:00 on Monday through Friday"
