"""What can go wrong with secrets and variables. The codes are those that a failed step shows."""

from collections.abc import Sequence
from typing import ClassVar

from flowforge.kit.errors import ConflictError, Detail, NotFoundError, RequestError, ValidationError


class VaultError(RequestError):
    """A secret cannot be had or used as asked. Never tells a value."""

    code: ClassVar[str] = "secret_missing"

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message, [Detail(field=f"secrets.{name}", message=message, code=self.code) for name in names])


class SecretMissingError(VaultError, NotFoundError):
    """There is no secret of that name in the workspace."""

    code: ClassVar[str] = "secret_missing"

    def __init__(self, names: Sequence[str]) -> None:
        listed = ", ".join(names)
        word = "secret" if len(names) == 1 else "secrets"
        super().__init__(f"The {word} {listed} is not set in this workspace; `flowforge secrets set {names[0]}` sets it.", names)


class SecretUnreadableError(VaultError):
    """The secret is there but no key opens it."""

    code: ClassVar[str] = "secret_unreadable"

    def __init__(self, name: str) -> None:
        super().__init__(f"The secret {name} does not open with the keys of this installation; set it again.", [name])


class SecretHostMismatchError(VaultError):
    """The secret is bound to other hosts."""

    code: ClassVar[str] = "secret_host_mismatch"

    def __init__(self, name: str, target_host: str | None) -> None:
        place = f"the host {target_host}" if target_host else "a step that calls no host"
        super().__init__(f"The secret {name} may not be used with {place}; it is bound to other hosts.", [name])


class KeysForeignError(ValidationError):
    """No secret of the database opens with the keys of this machine."""

    def __init__(self, total: int) -> None:
        message = (
            f"The keys of this machine open none of the {total} secrets in the database: give it the ENCRYPTION_KEY of the other machines "
            "(the earlier one as ENCRYPTION_KEY_PREVIOUS)."
        )
        super().__init__(message, [Detail(field="ENCRYPTION_KEY", message=message, code="keys_foreign")])


class VariableMissingError(NotFoundError):
    """There is no variable of that name in the workspace."""

    def __init__(self, name: str) -> None:
        message = f"The variable {name} is not set in this workspace; `flowforge variables set {name}` sets it."
        super().__init__(message, [Detail(field=f"vars.{name}", message=message, code="variable_missing")])


class VaultInputError(ValidationError):
    """A name, a value or a host that cannot be kept."""

    def __init__(self, field: str, message: str, code: str) -> None:
        super().__init__(message, [Detail(field=field, message=message, code=code)])


class VaultChangedError(ConflictError):
    """Two made the same name at once; this one came second."""

    def __init__(self, name: str) -> None:
        message = f"{name} was made by somebody else at the same moment; look at it, and set it again if need be."
        super().__init__(message, [Detail(field="name", message=message, code="changed_meanwhile")])
