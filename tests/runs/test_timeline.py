import pytest
from tests.runs.journals import Journal, completed, failed, finished, planned, waiting

from flowforge.runs.history import read_history
from flowforge.runs.timeline import TimelineRow, draw_timeline
from flowforge.runs.times import format_length


def draw(journal: Journal, until_ms: int, width: int = 10, iterations_max: int = 5) -> list[TimelineRow]:
    history = read_history(journal.turns)
    return draw_timeline(history.list_steps(), history.started_at_ms, until_ms, width=width, iterations_max=iterations_max)


def test_bars_show_when_each_step_ran(journal: Journal):
    journal.begin(1_000)
    journal.add(1_000, planned("first"))
    journal.add(1_500, completed("first"), planned("second"))
    journal.add(2_000, completed("second"), finished())
    assert [(row.label, row.bar, row.offset_ms, row.duration_ms) for row in draw(journal, 2_000)] == [
        ("first", "━━━━━     ", 0, 500),
        ("second", "     ━━━━━", 500, 500),
    ]


def test_every_bar_is_as_wide_as_asked_for_and_shows_something(journal: Journal):
    journal.begin(1_000)
    for at_ms in (1_000, 1_499, 2_000):
        journal.add(at_ms, completed(f"s{at_ms}"))
    for until_ms in (1_000, 2_000, 900_000):
        for row in draw(journal, until_ms):
            assert len(row.bar) == 10
            assert "━" in row.bar


def test_open_step_reaches_to_the_right_edge_and_says_what_it_waits_for(journal: Journal):
    journal.begin(1_000)
    journal.add(1_500, waiting("go", "signal", ref={"name": "go"}))
    (row,) = draw(journal, 2_000)
    assert (row.bar, row.status, row.note) == ("     ╍╍╍╍╍", "waiting", "waits for signal")


def test_failed_step_says_its_error_and_its_attempts(journal: Journal):
    journal.begin(1_000)
    journal.add(1_000, planned("pay", 1))
    journal.add(1_010, failed("pay", retry_at=1_020))
    journal.add(1_020, planned("pay", 2))
    journal.add(1_030, failed("pay", attempt=2))
    (row,) = draw(journal, 2_000)
    assert (row.attempts, row.note) == (2, "nope: It did not work.")


def test_of_a_long_loop_the_first_iterations_and_the_bad_ones_are_drawn(journal: Journal):
    journal.begin(1_000)
    journal.add(1_000, {"type": "loop.opened", "step": "items", "window": 100})
    for index in range(100):
        journal.add(1_000 + index, failed(f"items.{index}/pay") if index == 70 else completed(f"items.{index}/pay"))
    journal.add(1_200, completed("items"))
    rows = draw(journal, 1_200, iterations_max=2)
    assert [(row.depth, row.label) for row in rows] == [(0, "items"), (1, "[0] pay"), (1, "[1] pay"), (1, "[70] pay")]
    assert rows[0].note == "100 iterations"


def test_branch_says_by_which_port_it_was_left(journal: Journal):
    journal.begin(1_000)
    journal.add(1_000, completed("large", port="true"))
    assert draw(journal, 2_000)[0].note == "→ true"


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_250, "1.2 s"),
        (59_940, "59.9 s"),
        (59_960, "1 m 00 s"),
        (59_999, "1 m 00 s"),
        (61_000, "1 m 01 s"),
        (3_600_000, "1 h 00 m"),
        (90_000_000, "1 d 01 h"),
    ],
)
def test_lengths_are_short_for_people(duration_ms: int, text: str):
    assert format_length(duration_ms) == text
