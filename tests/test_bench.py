"""The bench works: every workload at a tiny size, without a peer and without a look at the times."""

from pathlib import Path

from bench.__main__ import parse_arguments, run
from bench.report import FIGURES, Results, Subject, render_table


async def test_bench_measures_every_figure_and_writes_its_page(tmp_path: Path):
    page = tmp_path / "benchmarks.md"

    await run(parse_arguments(["--quick", "--folder", str(tmp_path / "bench"), "--output", str(page)]))

    text = page.read_text(encoding="utf-8")
    assert all(f"| {figure.name} |" in text for figure in FIGURES)
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
