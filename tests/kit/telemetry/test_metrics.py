from flowforge.kit.telemetry.metrics import Metrics


def test_counts_are_rendered_for_prometheus():
    metrics = Metrics()
    metrics.runs_started.inc()
    metrics.count_run_finished("completed")
    metrics.count_steps_finished("http.request", "completed", 3)
    metrics.count_steps_finished("http.request", "completed")
    metrics.observe_commit(seconds=0.003, rows=7)
    metrics.log_drops.set(2)
    lines = metrics.render().decode().splitlines()
    for expected in (
        "flowforge_runs_started_total 1.0",
        'flowforge_runs_finished_total{status="completed"} 1.0',
        'flowforge_steps_finished_total{operation="http.request",outcome="completed"} 4.0',
        "flowforge_commits_total 1.0",
        'flowforge_commit_seconds_bucket{le="0.005"} 1.0',
        "flowforge_commit_rows_sum 7.0",
        "flowforge_log_drops 2.0",
        "flowforge_stale_epoch_total 0.0",
        "flowforge_crashes_total 0.0",
        "flowforge_dead_letters_total 0.0",
    ):
        assert expected in lines


def test_two_processes_in_one_do_not_share_figures():
    first, second = Metrics(), Metrics()
    first.runs_started.inc()
    assert b"flowforge_runs_started_total 0.0" in second.render()
