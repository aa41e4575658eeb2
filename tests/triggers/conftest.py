from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.triggers.hook_lab import SECRET, HookLab, make_document, open_hook_lab


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[HookLab]:
    """A server with the webhook `orders`, signed with the shop's secret."""
    async with open_hook_lab(tmp_path) as lab:
        await lab.set_secret("SHOP", SECRET)
        await lab.publish(make_document("shop", "{path: orders, auth: {hmac: '${{ secrets.SHOP }}'}}"))
        yield lab
