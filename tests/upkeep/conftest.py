from collections.abc import Generator
from pathlib import Path

import pytest
from tests.support.ground import Ground, prepare_ground


@pytest.fixture
def ground(tmp_path: Path) -> Generator[Ground]:
    with prepare_ground(tmp_path) as made:
        yield made
