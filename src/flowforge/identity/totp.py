"""Second factors: codes of 6 digits by time (RFC 6238), of a secret that is sealed at rest."""

from base64 import b32encode
from typing import Final
from urllib.parse import quote, urlencode

from pyotp.totp import TOTP
from pyotp.utils import strings_equal

from flowforge.identity.models_accounts import PasswordRow
from flowforge.kit.chance import draw_bytes
from flowforge.kit.keyring import Keyring, Place, Sealed

ISSUER: Final = "FlowForge"
_STEP_S: Final = 30
_SECRET_BYTES: Final = 20
_STEPS_ASIDE: Final = 1
"""Codes of the step before and after are taken: clocks differ."""


def draw_totp_secret() -> str:
    """A new secret, in base 32."""
    return b32encode(draw_bytes(_SECRET_BYTES)).decode()


def make_totp_url(secret: str, email: str) -> str:
    """What an authenticator reads from a picture: `otpauth://totp/…`."""
    query = urlencode({"secret": secret, "issuer": ISSUER})
    return f"otpauth://totp/{ISSUER}:{quote(email)}?{query}"


def seal_totp_secret(row: PasswordRow, secret: str, keyring: Keyring) -> None:
    """Puts the secret into the row, not counted yet."""
    sealed = keyring.seal(secret.encode(), _place(row.user_id))
    row.totp_key_id, row.totp_sealed, row.totp_since, row.totp_step = sealed.key_id, sealed.data, None, 0


def find_totp_step(row: PasswordRow, code: str, keyring: Keyring, now_ms: int) -> int | None:
    """The time step whose code this is; None where it is no right one, or one that was taken before.

    Raises:
        UnreadableError: the secret does not open.
    """
    if row.totp_sealed is None or not (len(code) == 6 and code.isascii() and code.isdigit()):
        return None
    secret = keyring.open(Sealed(row.totp_key_id or "", row.totp_sealed), _place(row.user_id)).decode()
    codes = TOTP(secret)
    present = now_ms // 1000 // _STEP_S
    found = None
    for step in range(present - _STEPS_ASIDE, present + _STEPS_ASIDE + 1):
        if strings_equal(code, codes.generate_otp(step)) and step > row.totp_step:
            found = step
    return found


def _place(user_id: str) -> Place:
    return Place(table=PasswordRow.__tablename__, row=user_id, workspace_id="")
