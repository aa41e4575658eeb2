"""Second factors: codes of 6 digits by time (RFC 6238), of a secret that is sealed at rest."""

from base64 import b32encode
from typing import Final
from urllib.parse import quote, urlencode

from pyotp.totp import TOTP
from pyotp.utils import strings_equal
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.models_accounts import PasswordRow
from flowforge.kit.chance import draw_bytes
from flowforge.kit.keyring import Keyring, Place, Sealed, UnreadableError
from flowforge.kit.telemetry.logs import get_logger

ISSUER: Final = "FlowForge"
_STEP_S: Final = 30
_SECRET_BYTES: Final = 20
_STEPS_ASIDE: Final = 1
"""Codes of the step before and after are taken: clocks differ."""

logger = get_logger("identity")


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
    """The time step whose code this is; None where it is no right one, or one that was taken before, or the secret does not open."""
    if row.totp_sealed is None or not (len(code) == 6 and code.isascii() and code.isdigit()):
        return None
    try:
        codes = TOTP(_open(row, keyring).decode())
    except UnreadableError as fault:
        logger.error("A second factor does not open; its person cannot sign in.", user=row.user_id, cause=fault.message)
        return None
    present = now_ms // 1000 // _STEP_S
    found = None
    for step in range(present - _STEPS_ASIDE, present + _STEPS_ASIDE + 1):
        if strings_equal(code, codes.generate_otp(step)) and step > row.totp_step:
            found = step
    return found


async def reencrypt_second_factors(session: AsyncSession, keyring: Keyring) -> tuple[int, tuple[str, ...]]:
    """Seals every secret anew that an older key of the ring has sealed: how many, and whose no key opens. The caller commits."""
    query = select(PasswordRow).where(PasswordRow.totp_sealed.is_not(None), PasswordRow.totp_key_id != keyring.current_key_id)
    changed, unreadable = 0, list[str]()
    for row in (await session.scalars(query.with_for_update())).all():
        try:
            sealed = keyring.seal(_open(row, keyring), _place(row.user_id))
        except UnreadableError:
            unreadable.append(row.user_id)
            continue
        row.totp_key_id, row.totp_sealed = sealed.key_id, sealed.data
        changed += 1
    await session.flush()
    return changed, tuple(unreadable)


def _open(row: PasswordRow, keyring: Keyring) -> bytes:
    return keyring.open(Sealed(row.totp_key_id or "", row.totp_sealed or b""), _place(row.user_id))


def _place(user_id: str) -> Place:
    return Place(table=PasswordRow.__tablename__, row=user_id, workspace_id="")
