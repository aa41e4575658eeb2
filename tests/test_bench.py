"""The bench works: every workload at a tiny size, without a peer and without a look at the times."""

from pathlib import Path

import pytest
from bench.__main__ import parse_arguments, run
from bench.report import FIGURES, Results, Subject, render_table

from tests.support.databases import find_postgres_port


@pytest.mark.slow(120)
async def test_bench_measures_every_figure_and_writes_its_page(tmp_path: Path):
    page = tmp_path / "benchmarks.md"
    postgres = f"postgresql://postgres@127.0.0.1:{find_postgres_port()}/postgres"
    words = ["--quick", "--folder", str(tmp_path / "bench"), "--output", str(page), "--postgres", postgres]

    await run(parse_arguments(words))

    text = page.read_text(encoding="utf-8")
    # With more than one worker it is the same again, and takes seconds.
    missing = {figure.name for figure in FIGURES if f"| {figure.name} |" not in text}
    assert missing == {"W8, 2", "W8, 4", "W8 CPU, 2", "W8 CPU, 4"}
    assert "- file system: " in text


def test_bars_are_judged_by_ratio_and_by_value():
    results = Results()
    for subject, value in ((Subject.ENGINE, 14.0), (Subject.FLOOR, 7.0), (Subject.PEER, 80.0)):
        results.add("W1", subject, value)

    table = render_table(results, {"w1_steps": 40})

    assert "missed (floor)" in table


def test_the_better_way_of_the_peer_counts():
    results = Results()
    results.add("W2 w2", Subject.PEER, 100.0)
    results.add("W2 w2_async", Subject.PEER, 300.0)

    results.choose_peer("W2", ("w2", "w2_async"), is_rate=True)

    assert results.find("W2", Subject.PEER) == 300.0
