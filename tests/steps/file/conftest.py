from pathlib import Path

import pytest
from tests.support.attempts import Attempts, make_services


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    return Attempts(make_services(tmp_path))
