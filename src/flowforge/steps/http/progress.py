"""How far a large transfer is, in the step's log."""

from typing import Final

from flowforge.operations import OperationContext

_EVERY_MS: Final = 10_000
_EVERY_PERCENT: Final = 10
_SILENT_BYTES: Final = 2**20
"""A transfer this small is over before anybody looks."""


class Progress:
    """Writes a line every 10 s, and every 10 % where the whole is known."""

    def __init__(self, context: OperationContext, verb: str) -> None:
        self._context = context
        self._verb = verb
        self._told_at_ms = context.now_ms()
        self._told_percent = 0

    def tell(self, size_bytes: int, total_bytes: int | None) -> None:
        """That so much is done of so much."""
        now_ms = self._context.now_ms()
        percent = size_bytes * 100 // total_bytes if total_bytes else 0
        is_step = percent >= self._told_percent + _EVERY_PERCENT and (total_bytes or 0) > _SILENT_BYTES
        if not is_step and now_ms - self._told_at_ms < _EVERY_MS:
            return
        self._told_at_ms, self._told_percent = now_ms, percent
        told = {} if not total_bytes else {"total": total_bytes, "percent": percent}
        self._context.log("info", f"{size_bytes} bytes {self._verb}.", bytes=size_bytes, **told)
