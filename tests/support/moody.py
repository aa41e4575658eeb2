"""A store that fails when a test wants it to, before or after it has done its work."""

from collections.abc import Callable, Sequence
from typing import Any

from flowforge.engine.store import Store, Turn, TurnResult


class MoodyStore:
    """Everything is the inner store's; before a method `before(name)` is called, after it `after(name)`: each may raise."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.before: Callable[[str], None] = _stay_calm
        self.after: Callable[[str], None] = _stay_calm

    def calm(self) -> None:
        self.before = self.after = _stay_calm

    def commit(self, turns: Sequence[Turn]) -> Sequence[TurnResult]:
        return self._do("commit", turns)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._do(name, *args, **kwargs)

    def _do(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name not in {"close", "now_ms"}:
            self.before(name)
        result = getattr(self.inner, name)(*args, **kwargs)
        if name not in {"close", "now_ms"}:
            self.after(name)
        return result


def _stay_calm(_name: str) -> None:
    pass
