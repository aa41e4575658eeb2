"""What can go wrong with settings and flags."""

from flowforge.kit.errors import Detail, NotFoundError


class FlagNotFoundError(NotFoundError):
    """There is no such flag."""

    def __init__(self, name: str) -> None:
        message = f"There is no feature flag {name[:80]!r}; `PUT /feature-flags/{{name}}` makes one."
        super().__init__(message, [Detail("name", message, "flag_unknown")])
