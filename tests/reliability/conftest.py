"""A lab for each test; what it leaves behind is checked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.lab import Lab, open_lab
from tests.support.soundness import assert_sound


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path) as opened:
        yield opened
    assert_sound(opened)
