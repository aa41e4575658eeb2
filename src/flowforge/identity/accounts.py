"""The accounts of one process: the gate, what its endpoints share, and what is done in the background."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowforge.identity.access_tokens import AccessTokens
from flowforge.identity.basic import BasicSignIn
from flowforge.identity.gate import IdentityGate
from flowforge.identity.key_usage import KeyUsageLog
from flowforge.identity.letters import LetterCarrier
from flowforge.identity.links import forget_links
from flowforge.identity.passwords import PasswordHasher
from flowforge.identity.recognizing import ProviderTokens, Recognizer
from flowforge.identity.session_contents import DatabaseContents, SessionContents
from flowforge.identity.sessions import forget_sessions
from flowforge.identity.throttling import forget_failures
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.keyring import Keyring
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.settings import Settings
from flowforge.kit.signing import SigningKeys

if TYPE_CHECKING:
    from flowforge.kit.bus.redis_connection import RedisClients

CLEAN_EVERY_S: Final = 3_600
_LINKS_KEPT_MS: Final = 86_400_000


class AccountCleaner:
    """Removes what has expired: sessions, tokens, links, and failures that count no more. A duty, each CLEAN_EVERY_S."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run_once(self) -> None:
        """Raises StorageError where the database cannot be used now."""
        now_ms = self._clock.now_ms()
        async with self._database.write.begin() as session:
            await forget_sessions(session, now_ms)
            await forget_links(session, now_ms - _LINKS_KEPT_MS)
            await forget_failures(session, now_ms)


@dataclass(frozen=True, slots=True)
class Accounts:
    """`ports` belong into `web.calls.Parts`; `usage`, `letters` and `cleaner` are duties (`duties`)."""

    gate: IdentityGate
    ports: Mapping[type, object]
    usage: KeyUsageLog
    letters: LetterCarrier
    cleaner: AccountCleaner


@dataclass(frozen=True, slots=True)
class AccountParts:
    """What accounts stand on. `providers`: None where no provider's tokens are taken.

    `redis`: where browsers' sessions are kept; None: in the database.
    """

    settings: Settings
    database: Database
    keyring: Keyring
    clock: Clock
    signing: SigningKeys
    mailer: Mailer
    providers: ProviderTokens | None = None
    redis: "RedisClients | None" = None


def make_accounts(parts: AccountParts) -> Accounts:
    """Wired together; nothing is connected to yet."""
    settings, database, clock = parts.settings, parts.database, parts.clock
    tokens, hasher = AccessTokens(parts.signing, settings), PasswordHasher()
    contents = _make_contents(parts)
    recognizer = Recognizer(settings, parts.keyring, tokens, contents, parts.providers)
    usage = KeyUsageLog(database, clock)
    basic = BasicSignIn(settings, database, clock, hasher) if settings.basic_auth and settings.local_accounts else None
    gate = IdentityGate(settings, database, clock, recognizer, contents, usage, basic)
    ports: dict[type, object] = {
        AccessTokens: tokens,
        PasswordHasher: hasher,
        SigningKeys: parts.signing,
        IdentityGate: gate,
        SessionContents: contents,
    }
    letters = LetterCarrier(database, parts.keyring, parts.mailer, clock)
    return Accounts(gate, ports, usage, letters, AccountCleaner(database, clock))


def _make_contents(parts: AccountParts) -> SessionContents:
    inner = DatabaseContents(parts.database)
    if parts.redis is None or not parts.redis.is_one:
        return inner
    # Redis' package, for a cluster only.
    from flowforge.identity.session_redis import RedisContents

    return RedisContents(parts.redis, inner, idle_ms=parts.settings.session_idle_ms)
