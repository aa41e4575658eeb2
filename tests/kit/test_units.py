import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.units import DURATION_MAX_MS, format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("0", 0),
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("1w", 604_800_000),
        ("1h30m", 5_400_000),
        ("1.5s", 1_500),
        ("PT30S", 30_000),
        ("P1DT2H", 93_600_000),
        ("P2W", 1_209_600_000),
        ("PT0.25S", 250),
    ],
)
def test_duration_is_read(text: str, expected_ms: int):
    assert parse_duration(text) == expected_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "-5s",
        "5 s",
        "5x",
        "s",
        "1m1h",
        "1s1s",
        "P",
        "PT",
        "P1Y",
        "P1M",
        "1.0001s",
        "1e3s",
        "١s",
        "99999999999w",
        "P1D2H",
        "5S",
        "5s\n",
    ],
)
def test_text_that_is_no_duration_is_refused(text: str):
    with pytest.raises(ValueError, match=r"^'.*' (is|must)|is not"):
        parse_duration(text)


@given(st.integers(0, DURATION_MAX_MS))
def test_formatted_duration_reads_back(duration_ms: int):
    assert parse_duration(format_duration(duration_ms)) == duration_ms


@pytest.mark.parametrize(
    ("text", "expected_bytes"),
    [("0", 0), ("1500", 1500), ("64KiB", 65_536), ("10MiB", 10_485_760), ("1GB", 10**9), ("1.5KiB", 1536)],
)
def test_size_is_read(text: str, expected_bytes: int):
    assert parse_size(text) == expected_bytes


@pytest.mark.parametrize("text", ["", "-1", "10M", "MiB", "1.3B", "1e3", "10 000"])
def test_text_that_is_no_size_is_refused(text: str):
    with pytest.raises(ValueError, match=r"^'.*' (is|must)|is not"):
        parse_size(text)


@given(st.integers(0, 10**15 - 1))
def test_formatted_size_reads_back(size_bytes: int):
    assert parse_size(format_size(size_bytes)) == size_bytes
