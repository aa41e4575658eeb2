import re

import pytest

from flowforge.kit.crashpoint import CRASH_POINTS, crash_hook, crashpoint


def test_hook_is_called_with_each_name_until_the_block_ends():
    reached: list[str] = []
    with crash_hook(reached.append):
        crashpoint("CP01")
        with crash_hook(lambda name: reached.append(f"inner {name}")):
            crashpoint("CP02")
        crashpoint("CP10b")
    crashpoint("CP05")
    assert reached == ["CP01", "inner CP02", "CP10b"]


def test_hook_is_gone_after_it_raised():
    def fail(name: str) -> None:
        raise KeyError(name)

    with pytest.raises(KeyError, match="CP06"), crash_hook(fail):
        crashpoint("CP06")
    crashpoint("CP06")


def test_each_crash_point_is_named_and_told():
    assert all(re.fullmatch(r"CP\d\d[ab]?", name) and text for name, text in CRASH_POINTS.items())
