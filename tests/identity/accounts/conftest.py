from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.accounts_lab import AccountsLab, open_accounts_lab


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[AccountsLab]:
    """A server on SQLite, reached by http on loopback."""
    async with open_accounts_lab(tmp_path) as lab:
        yield lab


@pytest.fixture
async def public_lab(tmp_path: Path) -> AsyncGenerator[AccountsLab]:
    """A server that people reach by https."""
    settings = {"public_url": "https://flow.example.com", "registration": True, "trusted_proxies": "127.0.0.1"}
    async with open_accounts_lab(tmp_path, settings=settings, origin="https://flow.example.com") as lab:
        yield lab
