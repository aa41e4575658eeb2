import os

import pytest


def pytest_configure() -> None:
    # A developer's own settings must not decide what the tests see.
    for name in [name for name in os.environ if name.startswith("FLOWFORGE_") and not name.startswith("FLOWFORGE_TEST_")]:
        del os.environ[name]
    # Servers of several tests at once take any free port.
    os.environ["FLOWFORGE_PORT"] = "0"


@pytest.hookimpl(trylast=True)  # after the order was drawn
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
    for item in items:
        marker = item.get_closest_marker("slow")
        if marker is not None:
            item.add_marker(pytest.mark.timeout(marker.args[0]))
