"""Basic authentication: email and password with every request. Off by default, and over https only."""

from flowforge.identity.credentials import read_basic
from flowforge.identity.emails import make_email_key
from flowforge.identity.passwords import PasswordHasher
from flowforge.identity.people import find_local_user, find_password
from flowforge.identity.recognizing import Known
from flowforge.identity.throttling import count_attempt, forgive_attempt, make_scopes
from flowforge.identity.user_views import is_active
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.settings import Settings
from flowforge.web.callers import CredentialKind

GOOD_FOR_MS = 3_600_000
"""The gate looks again every few seconds; this only has to be longer."""


class BasicSignIn:
    """Looks emails and passwords up. Whoever has a second factor cannot sign in so."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, hasher: PasswordHasher) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hasher = hasher

    async def find_known(self, text: str, address: str) -> Known | None:
        """Whose email and password they are; None: nobody's.

        Raises:
            RateLimitedError: too many have failed.
        """
        email, password = read_basic(text)
        email_key, now_ms = make_email_key(email), self._clock.now_ms()
        scopes = make_scopes(email_key, address)
        async with self._database.write.begin() as session:
            await count_attempt(session, scopes, now_ms)
        async with self._database.read() as session:
            user = await find_local_user(session, email_key)
            stored = None if user is None else await find_password(session, user.id)
        is_right, _ = await self._hasher.verify(password, None if stored is None else stored.hash)
        if not is_right or user is None or not is_active(user) or stored is None or stored.totp_since is not None:
            return None
        async with self._database.write.begin() as session:
            await forgive_attempt(session, scopes, now_ms)
        return Known(user.id, CredentialKind.BASIC, f"basic:{user.id}", self._settings.rate_tier, now_ms + GOOD_FOR_MS)
