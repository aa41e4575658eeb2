"""Encryption at rest: AES-256-GCM with a ring of keys. The current key writes, the others still read.

What is encrypted is bound to its place (table, row, workspace, key id) as authenticated data: moved elsewhere it does not open.
The nonce is 96 random bits, so a key should be replaced long before it has written 2^32 times (NIST SP 800-38D, 8.3).
"""

import hashlib
import secrets
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flowforge.kit.atomic import create_atomic, write_atomic
from flowforge.kit.border import decode, encode
from flowforge.kit.errors import Detail, FlowForgeError, InvariantError, StorageError
from flowforge.kit.folder import explain_os_error
from flowforge.kit.lock import wait_for_lock
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_FORMAT: Final = 1
_Keys = tuple[bytes, tuple[bytes, ...]]


class UnreadableError(FlowForgeError):
    """A ciphertext does not open: another key, another row, or changed bytes. Says which, never what was inside."""

    code: ClassVar[str] = "secret_unreadable"

    def __init__(self, message: str) -> None:
        super().__init__(message, [Detail(field="", message=message, code=self.code)])


class KeyringError(StorageError):
    """The key ring on disk is missing a part or damaged."""

    def __init__(self, path: Path, reason: str) -> None:
        message = f"The key ring {path} cannot be used: {reason}; restore it from a backup, without it no secret opens."
        super().__init__(message, [Detail(field="", message=message, code="keyring_unreadable")])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ciphertext belongs."""

    table: str
    row: str
    workspace_id: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext: the id of its key, and nonce, text and tag in one."""

    key_id: str
    data: bytes


class Keyring:
    """Keys by their ids, one of them current. An id is derived from its key, so the same key has the same id everywhere.

    A ring of a file follows it: a key that another process puts there is used from then on, without a new start of this one.
    """

    __slots__ = ("_ciphers", "_current", "_find_news")

    def __init__(
        self, current: bytes, previous: tuple[bytes, ...] = (), *, find_news: Callable[[], _Keys | None] | None = None
    ) -> None:
        """`find_news`: the keys, if they are others than at the last call."""
        self._find_news: Final = find_news
        self._take(current, previous)

    def _take(self, current: bytes, previous: tuple[bytes, ...]) -> None:
        self._ciphers = {make_key_id(key): AESGCM(key) for key in (current, *previous)}
        self._current = make_key_id(current)

    def _follow(self) -> None:
        news = None if self._find_news is None else self._find_news()
        if news is not None:
            self._take(*news)

    @property
    def current_key_id(self) -> str:
        """The key that `seal` writes with."""
        self._follow()
        return self._current

    @classmethod
    def generate(cls) -> Self:
        """A ring with one new random key, for a process that keeps nothing."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    def has_key(self, key_id: str) -> bool:
        """Whether what was sealed with this key can be opened."""
        return self._find_cipher(key_id) is not None

    def _find_cipher(self, key_id: str) -> AESGCM | None:
        if key_id not in self._ciphers:
            self._follow()
        return self._ciphers.get(key_id)

    def seal(self, plain: bytes, place: Place) -> Sealed:
        """Encrypt with the current key."""
        key_id, nonce = self.current_key_id, secrets.token_bytes(_NONCE_BYTES)
        return Sealed(key_id, nonce + self._ciphers[key_id].encrypt(nonce, plain, _bind(place, key_id)))

    def open(self, sealed: Sealed, place: Place) -> bytes:
        """What `seal` was given at the same place.

        Raises:
            UnreadableError: the ring does not have the key, or the bytes, the key id or the place are not those of `seal`.
        """
        cipher = self._find_cipher(sealed.key_id)
        if cipher is None:
            raise UnreadableError(
                f"The key {sealed.key_id} of a row in {place.table} is not in the key ring; add it as the previous key."
            )
        nonce, text = sealed.data[:_NONCE_BYTES], sealed.data[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, text, _bind(place, sealed.key_id))
        except (InvalidTag, ValueError):
            raise UnreadableError(
                f"A row in {place.table} does not open: it was moved or changed from outside; set it again."
            ) from None


def make_key_id(key: bytes) -> str:
    """`k_` and 16 hexadecimal digits derived from the key; tells nothing about it."""
    if len(key) != _KEY_BYTES:
        raise InvariantError(f"A key has {_KEY_BYTES} bytes, not {len(key)}.")
    return "k_" + hashlib.blake2b(key, digest_size=8, person=b"flowforge key id").hexdigest()


def _bind(place: Place, key_id: str) -> bytes:
    return encode([place.table, place.row, place.workspace_id, key_id])


def open_keyring(path: Path, settings: Settings) -> Keyring:
    """The key ring of a data folder: made at first use, unless ENCRYPTION_KEY is set. Keys in the file always still read.

    Raises:
        KeyringError: the file is damaged.
        StorageError: it cannot be read or written.
    """
    if settings.encryption_key is None:
        _read_or_create(path)
    stamp = _stamp(path)

    def find_news() -> _Keys | None:
        nonlocal stamp
        now = _stamp(path)
        if now is None or now == stamp:
            return None
        stamp = now
        try:
            return _gather(path, settings)
        except StorageError:
            # Those that are known go on; the next start says what is wrong with the file.
            return None

    return Keyring(*_gather(path, settings), find_news=find_news)


def _gather(path: Path, settings: Settings) -> _Keys:
    """The key that writes, and those that only read."""
    given = [bytes.fromhex(key.get_secret_value()) for key in (settings.encryption_key, settings.encryption_key_previous) if key]
    if settings.encryption_key is None:
        current, others = _read_ring(path)
        return current, (*others, *given)
    stored = _read_ring(path) if path.exists() else None
    return given[0], (*given[1:], *(() if stored is None else (stored[0], *stored[1])))


def _stamp(path: Path) -> tuple[int, int] | None:
    """Another one after each change: a change is a new file in the place of the old one. None: there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def draw_key() -> bytes:
    """A new random key."""
    return secrets.token_bytes(_KEY_BYTES)


def rotate_keyring(path: Path, key: bytes) -> None:
    """Put this key into the file as the current one; the others stay and read. Rows written before need `reencrypt` afterwards.

    Raises:
        KeyringError: the file is damaged.
    """
    with _locked(path):
        current, others = _read_or_create(path)
        _store(path, key, (current, *others))


def retire_keys(path: Path) -> None:
    """Remove all keys from the file but the current one; do so only after every row was re-encrypted."""
    with _locked(path):
        current, _ = _read_or_create(path)
        _store(path, current, ())


def read_signing_secrets(path: Path) -> tuple[bytes, ...]:
    """The secrets of the file that tokens, links and checkpoints are signed with, the current one first; made at first use.

    Raises:
        KeyringError: the file is damaged.
        StorageError: it cannot be read or written.
    """
    _read_or_create(path)
    found = _read_signing(path)
    if found:
        return found
    with _locked(path):
        # Another process may have been first.
        if not (found := _read_signing(path)):
            current, others = _read_ring(path)
            found = (secrets.token_bytes(_KEY_BYTES),)
            _write(path, _render(current, others, found))
    return found


def _read_or_create(path: Path) -> tuple[bytes, tuple[bytes, ...]]:
    try:
        if not path.exists():
            create_atomic(path, _render(secrets.token_bytes(_KEY_BYTES), (), (secrets.token_bytes(_KEY_BYTES),)))
    except OSError as fault:
        raise explain_os_error(fault, path) from fault
    return _read_ring(path)


def _store(path: Path, current: bytes, others: tuple[bytes, ...]) -> None:
    _write(path, _render(current, others, _read_signing(path)))


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomic(path, data)
    except OSError as fault:
        raise explain_os_error(fault, path) from fault


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Whoever changes the file reads it before: two at once would lose what one of them has put in."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        with wait_for_lock(lock):
            yield
    except OSError as fault:
        raise explain_os_error(fault, lock) from fault


def _render(current: bytes, others: tuple[bytes, ...], signing: tuple[bytes, ...]) -> bytes:
    ring: JsonObject = {
        "format": _FORMAT,
        "current": make_key_id(current),
        "keys": {make_key_id(key): key.hex() for key in (current, *others)},
    }
    if signing:
        ring["signing"] = [secret.hex() for secret in signing]
    return encode(ring) + b"\n"


def _read_ring(path: Path) -> tuple[bytes, tuple[bytes, ...]]:
    ring = _read_file(path)
    keys, current = ring.get("keys"), ring.get("current")
    if not isinstance(keys, dict) or not isinstance(current, str) or current not in keys:
        raise KeyringError(path, "it names no current key")
    by_id = {key_id: _read_key(path, key_id, text) for key_id, text in cast("Mapping[str, object]", keys).items()}
    return by_id[current], tuple(key for key_id, key in by_id.items() if key_id != current)


def _read_signing(path: Path) -> tuple[bytes, ...]:
    listed = _read_file(path).get("signing", [])
    if not isinstance(listed, list):
        raise KeyringError(path, "its list of signing secrets is damaged")
    try:
        found = tuple(bytes.fromhex(text) if isinstance(text, str) else b"" for text in listed)
    except ValueError:
        found = (b"",)
    if any(len(secret) != _KEY_BYTES for secret in found):
        raise KeyringError(path, "a signing secret is damaged")
    return found


def _read_file(path: Path) -> JsonObject:
    try:
        ring = decode(path.read_bytes())
    except OSError as fault:
        raise explain_os_error(fault, path) from fault
    except InvariantError:
        raise KeyringError(path, "it is no JSON") from None
    if not isinstance(ring, dict) or ring.get("format") != _FORMAT:
        raise KeyringError(path, "its format is unknown")
    return ring


def _read_key(path: Path, key_id: str, text: object) -> bytes:
    try:
        key = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES or make_key_id(key) != key_id:
        raise KeyringError(path, f"the key {key_id} is damaged")
    return key
