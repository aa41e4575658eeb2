"""What can go wrong with the audit log."""

from typing import ClassVar

from flowforge.kit.errors import Detail, NotFoundError, ValidationError


class AuditRowNotFoundError(NotFoundError):
    """There is no row of that number, or the caller may not see it."""

    code: ClassVar[str] = "NOT_FOUND"

    def __init__(self, no: int) -> None:
        message = f"There is no audit row {no} here."
        super().__init__(message, [Detail(field="no", message=message, code="audit_row_unknown")])


class AuditRowNumberError(ValidationError):
    """What should be a row's number is none."""

    def __init__(self, text: str) -> None:
        message = f"{text[:40]!r} is no number of an audit row; it is a whole number above 0."
        super().__init__(message, [Detail(field="no", message=message, code="id_invalid")])


class ExportUnreadableError(ValidationError):
    """A file is no export of the audit log, or one that cannot be verified."""

    def __init__(self, reason: str) -> None:
        message = f"The file cannot be verified: {reason}."
        super().__init__(message, [Detail(field="file", message=message, code="export_unreadable")])


class PublicKeyError(ValidationError):
    """What should be a public key is none."""

    def __init__(self, reason: str) -> None:
        message = f"The key cannot be used: {reason}; give the JWK from /.well-known/jwks.json, or the file with it."
        super().__init__(message, [Detail(field="key", message=message, code="key_invalid")])
