import gc
import os
from collections import defaultdict

import pytest


def pytest_configure() -> None:
    # A developer's own settings must not decide what the tests see.
    for name in [name for name in os.environ if name.startswith("FLOWFORGE_") and not name.startswith("FLOWFORGE_TEST_")]:
        del os.environ[name]
    # Servers of several tests at once take any free port.
    os.environ["FLOWFORGE_PORT"] = "0"
    # The tests themselves and all modules are millions of objects that stay: looking through them again and again took a third of the time.
    gc.set_threshold(100_000, 50, 100)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)  # after the order was drawn
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
    for item in items:
        marker = item.get_closest_marker("slow")
        if marker is not None:
            item.add_marker(pytest.mark.timeout(marker.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What share of the time each suite (a folder of tests) had."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.removeprefix("tests/").split("/")[0].split("::")[0]] += report.duration
    total = sum(seconds.values()) or 1
    shares = (
        f"{suite} {spent:.0f} s ({spent / total:.0%})"
        for suite, spent in sorted(seconds.items(), key=lambda pair: -pair[1])
        if spent >= 1
    )
    terminalreporter.write_line(f"Time by suite: {', '.join(shares)}")
