"""The parameter `wait`: for how long the answer may be waited for."""

from typing import Final

from flowforge.kit.units import parse_duration
from flowforge.web.errors import ParameterError

WAIT_MAX_MS: Final = 60_000


def read_wait(text: str | None) -> int:
    """How long the answer may be waited for, in milliseconds; None is not at all.

    Raises:
        ParameterError: it is no length of time up to 60 s.
    """
    if text is None:
        return 0
    try:
        wait_ms = parse_duration(text[:100])
    except ValueError:
        wait_ms = -1
    if not 0 <= wait_ms <= WAIT_MAX_MS:
        raise ParameterError("wait", "`wait` is a length of time up to 60s, like 30s.", "wait")
    return wait_ms
