"""Passwords: what one must be like, and hashing them, which is slow on purpose."""

import asyncio
from functools import cache
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from flowforge.identity.errors_accounts import PasswordWeakError

PASSWORD_MIN_CHARACTERS: Final = 12
PASSWORD_MAX_CHARACTERS: Final = 256
_DIFFERENT_CHARACTERS_MIN: Final = 5
MEMORY_KIB: Final = 19_456
ROUNDS: Final = 2
"""Those of the OWASP Password Storage Cheat Sheet."""
_AT_ONCE: Final = 4
"""So many are hashed at once: each takes 19 MiB and a core."""


def check_password(password: str, email: str) -> None:
    """Raises PasswordWeakError where a password is too short, too long, all alike, or the email."""
    if len(password) < PASSWORD_MIN_CHARACTERS:
        raise PasswordWeakError(f"A password has at least {PASSWORD_MIN_CHARACTERS} characters; a sentence is a good one.")
    if len(password) > PASSWORD_MAX_CHARACTERS:
        raise PasswordWeakError(f"A password has at most {PASSWORD_MAX_CHARACTERS} characters.")
    if len(set(password)) < _DIFFERENT_CHARACTERS_MIN:
        raise PasswordWeakError("This password repeats a few characters; take one that is harder to guess.")
    if email and email.casefold() in password.casefold():
        raise PasswordWeakError("This password holds the email; take one that is harder to guess.")


class PasswordHasher:
    """argon2id. One object a process; safe for many at once, in one event loop."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, rounds: int = ROUNDS) -> None:
        self._hash = PasswordHash((Argon2Hasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1),))
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        """A new hash, with a salt of its own."""
        async with self._turns:
            return await asyncio.to_thread(self._hash.hash, password)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a new hash to store where the old one is of weaker make.

        Takes the same time where nothing is stored: then it compares with the hash of a password that nobody has.
        """
        async with self._turns:
            is_right, renewed = await asyncio.to_thread(
                self._hash.verify_and_update, password[:PASSWORD_MAX_CHARACTERS], stored or _decoy(self._hash)
            )
        return is_right and stored is not None and len(password) <= PASSWORD_MAX_CHARACTERS, renewed


@cache
def _decoy(hasher: PasswordHash) -> str:
    return hasher.hash("nobody has this password")
