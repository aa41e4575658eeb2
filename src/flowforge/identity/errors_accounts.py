"""What can go wrong with people, sign-ins and keys. What a stranger is told never says whether an account exists."""

from flowforge.kit.errors import (
    AlreadyExistsError,
    ConflictError,
    Detail,
    NotFoundError,
    NotPermittedError,
    ValidationError,
)
from flowforge.web.errors import NotSignedInError


def _one(field: str, message: str, code: str) -> list[Detail]:
    return [Detail(field=field, message=message, code=code)]


class SignInFailedError(NotSignedInError):
    """Email, password or code are not right; never says which of them (401)."""

    def __init__(self) -> None:
        message = "The email or the password is not right."
        super().__init__(message, reason="sign_in_failed")


class CodeRequiredError(NotSignedInError):
    """The password is right, and the account has a second factor (401)."""

    def __init__(self) -> None:
        message = "Send the 6 digits that your authenticator shows as `code`, too."
        super().__init__(message, reason="code_required")


class LinkInvalidError(NotSignedInError):
    """A one-time link that was used, has expired, or never was; one answer for all (401)."""

    def __init__(self) -> None:
        message = "This link is not good any more: it works once, and for a short time. Ask for another."
        super().__init__(message, reason="link_invalid")


class RefreshInvalidError(NotSignedInError):
    """A refresh token that was used, has expired, was revoked, or never was (401)."""

    def __init__(self) -> None:
        message = "This refresh token is not good any more; sign in again."
        super().__init__(message, reason="refresh_invalid")


class LocalAccountsOffError(NotPermittedError):
    def __init__(self) -> None:
        message = "Nobody signs in with a password here (LOCAL_ACCOUNTS is off); use your organisation's sign-in."
        super().__init__(message, _one("", message, "local_accounts_off"))


class RegistrationOffError(NotPermittedError):
    def __init__(self) -> None:
        message = "Accounts are made by an administrator here (REGISTRATION is off)."
        super().__init__(message, _one("", message, "registration_off"))


class KeysOffError(NotPermittedError):
    def __init__(self) -> None:
        message = "API keys are switched off here (API_KEYS is off)."
        super().__init__(message, _one("", message, "api_keys_off"))


class SessionRequiredError(NotPermittedError):
    """For a person by session or sign-in token, and for no key."""

    def __init__(self) -> None:
        message = "This is for signed-in people only; an API key cannot do it."
        super().__init__(message, _one("", message, "session_required"))


class OwnersOnlyError(NotPermittedError):
    """Only an owner changes an owner's account."""

    def __init__(self) -> None:
        message = "This person is an owner, whose account only another owner may change."
        super().__init__(message, _one("", message, "owner_protected"))


class UserNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no person {subject[:80]!r}; GET /users shows those that there are."
        super().__init__(message, _one("user", message, "user_unknown"))


class SessionNotFoundError(NotFoundError):
    def __init__(self, session_id: str) -> None:
        message = f"There is no session {session_id[:80]!r}; it may have ended."
        super().__init__(message, _one("session", message, "session_unknown"))


class KeyNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no API key {subject[:80]!r}; GET /keys shows those that there are."
        super().__init__(message, _one("key", message, "key_unknown"))


class ForeignWorkspaceError(NotFoundError):
    """A workspace that does not exist, or in which the caller is nobody."""

    def __init__(self, subject: str) -> None:
        message = f"There is no workspace {subject[:80]!r}; GET /workspaces shows those that you may see."
        super().__init__(message, _one("X-Workspace", message, "workspace_unknown"))


class KeyWorkspaceError(NotPermittedError):
    """A key works in one workspace only."""

    def __init__(self) -> None:
        message = "This API key belongs to another workspace than the one that X-Workspace names."
        super().__init__(message, _one("X-Workspace", message, "key_workspace"))


class EmailTakenError(AlreadyExistsError):
    def __init__(self, email: str) -> None:
        message = f"There is a person with the email {email} already."
        super().__init__(message, _one("email", message, "email_taken"))


class EmailInvalidError(ValidationError):
    def __init__(self) -> None:
        message = "This is no email address; write it like anna@example.com."
        super().__init__(message, _one("email", message, "email_invalid"))


class PasswordWeakError(ValidationError):
    def __init__(self, message: str) -> None:
        super().__init__(message, _one("password", message, "password_weak"))


class PasswordWrongError(ValidationError):
    """The present password, asked for before something of weight, is not right."""

    def __init__(self) -> None:
        message = "Your present password is not right."
        super().__init__(message, _one("current_password", message, "password_wrong"))


class CodeWrongError(ValidationError):
    def __init__(self) -> None:
        message = "The 6 digits are not those of this moment; check the clock of your authenticator and send the next ones."
        super().__init__(message, _one("code", message, "code_wrong"))


class NotLocalError(ConflictError):
    """The person signs in by a provider."""

    def __init__(self) -> None:
        message = "This person signs in by a provider and has no password here."
        super().__init__(message, _one("", message, "not_local"))


class TotpStateError(ConflictError):
    """The second factor is on already, or was never begun."""

    def __init__(self, message: str) -> None:
        super().__init__(message, _one("", message, "totp_state"))


class UserStateError(ConflictError):
    """What is asked for cannot be done with a person in this state."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, _one("", message, reason))


class KeyInputError(ValidationError):
    """A key that cannot be made as asked."""

    def __init__(self, field: str, message: str, reason: str) -> None:
        super().__init__(message, _one(field, message, reason))
