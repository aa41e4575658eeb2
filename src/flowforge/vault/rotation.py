"""Rotation of keys: everything that an older key has sealed is sealed with the current one, while work goes on.

Sessions and letters are left alone: they are gone in some days, and the older keys of the ring still open them until then.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import INSTALLATION, Author, record_as, reencrypt_person_keys
from flowforge.identity.service import reencrypt_second_factors
from flowforge.kit.database.session import Database
from flowforge.kit.keyring import Keyring
from flowforge.kit.values import JsonObject
from flowforge.vault import service
from flowforge.vault.ports import ReencryptMore


@dataclass(frozen=True, slots=True)
class Rotation:
    """`total`: secrets there are; `changed`: of them sealed anew; `unreadable`: of them no key opens. `others`: sealed anew besides."""

    total: int
    changed: int
    unreadable: tuple[str, ...]
    others: int

    def describe(self) -> JsonObject:
        """As the API tells it."""
        skipped = self.total - self.changed - len(self.unreadable)
        return {"total": self.total, "rotated": self.changed, "skipped": skipped, "failed": [*self.unreadable]}


def _say_nothing(_line: str) -> None:
    """Where nobody watches."""


async def reencrypt_all(
    database: Database, keyring: Keyring, more: ReencryptMore, *, tell: Callable[[str], None] = _say_nothing
) -> Rotation:
    """Seals with the current key what another has sealed, in small transactions. Killed anywhere, the next call goes on with the rest.

    `tell` hears how far it is.
    """
    async with database.write() as session:
        total = await service.count_secrets(session)
        done = await service.reencrypt_secrets(
            session, keyring, on_batch=lambda count: tell(f"Secrets: {count} of {total} looked at.")
        )
        persons = await reencrypt_person_keys(session, keyring)
    tell(f"Keys of persons in the audit log: {persons.changed} sealed anew.")
    async with database.write.begin() as session:
        factors, _ = await reencrypt_second_factors(session, keyring)
    tell(f"Second factors: {factors} sealed anew.")
    async with database.write.begin() as session:
        subscriptions = await more(session, keyring)
    tell(f"Secrets of subscriptions: {subscriptions} sealed anew.")
    return Rotation(total, done.changed, done.unreadable, persons.changed + factors + subscriptions)


async def tell_reencrypted(session: AsyncSession, author: Author, done: Rotation) -> None:
    """Its row in the audit log."""
    after: JsonObject = {"rotated": done.changed, "failed": len(done.unreadable)}
    await record_as(session, author, "keyring.reencrypted", "keyring", "secrets", after=after, workspace_id=INSTALLATION)


async def tell_rotated(session: AsyncSession, author: Author, *, before: str, after: str) -> None:
    """The ring gets another current key. `before`, `after`: the ids of the keys, which tell nothing about them."""
    await record_as(
        session,
        author,
        "keyring.rotated",
        "keyring",
        "secrets",
        before={"key": before},
        after={"key": after},
        workspace_id=INSTALLATION,
    )
