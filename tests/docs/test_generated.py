from collections.abc import Callable

import pytest
from scripts.generate_docs import GENERATORS, list_outdated
from tests.architecture.sources import REPOSITORY

from flowforge.kit.limits import Limits
from flowforge.kit.settings import Settings


def test_generated_pages_are_current():
    assert list_outdated() == [], "run `make generate`"


def test_every_setting_is_documented():
    page = (REPOSITORY / "docs" / "settings.md").read_text("utf-8")
    for model in (Settings, Limits):
        for name, one in model.model_fields.items():
            assert name == "limits" or f"`FLOWFORGE_{one.validation_alias}`" in page


@pytest.mark.parametrize(("path", "render"), GENERATORS, ids=[path for path, _ in GENERATORS])
def test_generated_page_says_so_and_does_not_change_by_itself(path: str, render: Callable[[], str]):
    text = render()
    assert "do not edit" in text
    assert text == render()
    assert path.startswith(("docs/", "src/flowforge/"))
