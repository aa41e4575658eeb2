"""What a check of `flowforge doctor` has found."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from flowforge.kit.errors import FlowForgeError


class CheckState(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `mend` is empty where nothing is to be done."""

    name: str
    state: CheckState
    found: str
    mend: str = ""


def guard(name: str, look: Callable[[], Check]) -> Check:
    """A check that cannot be made has found something."""
    try:
        return look()
    except FlowForgeError as error:
        return Check(name, CheckState.FAIL, "cannot be checked", error.message)
