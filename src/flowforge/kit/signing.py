"""What the installation signs with: an Ed25519 key, and keys for HMACs, derived from a secret of 32 bytes by HKDF (RFC 5869).

The current secret signs; what the one before it has signed is still taken. A key's id is its RFC 7638 thumbprint, so that whoever has
the public key can tell its id.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flowforge.kit.border import encode_canonical
from flowforge.kit.errors import InvariantError
from flowforge.kit.folder import DataFolder
from flowforge.kit.keyring import read_signing_secrets
from flowforge.kit.settings import Settings

ALGORITHM: Final = "EdDSA"
_KEY_BYTES: Final = 32
_ED25519: Final = "ed25519"
_PURPOSE: Final = "flowforge signing: "


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 key that anyone may have. `id`: its thumbprint; `x`: its 32 bytes in base64url, as a JWK has them."""

    id: str
    x: str

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(decode_base64url(self.x)).verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def show_jwk(self) -> dict[str, str]:
        """As it stands in a JWKS (RFC 8037)."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": self.id, "use": "sig", "alg": ALGORITHM}


def make_public_key(data: bytes) -> PublicKey:
    """The key of these bytes.

    Raises:
        ValueError: they are no Ed25519 key.
    """
    Ed25519PublicKey.from_public_bytes(data)
    x = encode_base64url(data)
    thumbprint = hashlib.sha256(encode_canonical({"crv": "Ed25519", "kty": "OKP", "x": x})).digest()
    return PublicKey(encode_base64url(thumbprint), x)


def read_public_jwk(jwk: Mapping[str, object]) -> PublicKey:
    """The key of a JWK.

    Raises:
        ValueError: it is no public Ed25519 key.
    """
    x = jwk.get("x")
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519" or not isinstance(x, str):
        raise ValueError("it is no JWK of an Ed25519 key")
    return make_public_key(decode_base64url(x))


class SigningKeys:
    """The keys of one installation."""

    def __init__(self, current: bytes, previous: Sequence[bytes] = ()) -> None:
        """Secrets of 32 bytes each."""
        self._secrets: Final = tuple(dict.fromkeys((current, *previous)))
        if any(len(secret) != _KEY_BYTES for secret in self._secrets):
            raise InvariantError(f"A signing secret has {_KEY_BYTES} bytes.")

    @cached_property
    def _pairs(self) -> dict[str, tuple[Ed25519PrivateKey, PublicKey]]:
        keys = [Ed25519PrivateKey.from_private_bytes(_derive(secret, _ED25519)) for secret in self._secrets]
        public = [make_public_key(key.public_key().public_bytes_raw()) for key in keys]
        return {shown.id: (key, shown) for key, shown in zip(keys, public, strict=True)}

    @property
    def current(self) -> PublicKey:
        """The key that signs."""
        return self.list_public()[0]

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """The key that signs, for libraries that make tokens; its id is `current.id`."""
        return self._pairs[self.current.id][0]

    def sign(self, data: bytes) -> tuple[str, bytes]:
        """The id of the key, and its signature of 64 bytes."""
        return self.current.id, self.private_key.sign(data)

    def verify(self, key_id: str, data: bytes, signature: bytes) -> bool:
        """Whether one of our keys, of that id, has signed these bytes."""
        found = self._pairs.get(key_id)
        return found is not None and found[1].verify(data, signature)

    def list_public(self) -> list[PublicKey]:
        """The current key first."""
        return [shown for _, shown in self._pairs.values()]

    def list_public_jwks(self) -> list[dict[str, str]]:
        """The keys of a JWKS, the current one first."""
        return [shown.show_jwk() for shown in self.list_public()]

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose (`csrf`, `links`), from the current secret."""
        return _derive(self._secrets[0], purpose)

    def derive_all(self, purpose: str) -> list[bytes]:
        """The same with every secret, the current one first: for looking at what was signed before."""
        return [_derive(secret, purpose) for secret in self._secrets]


def open_signing(settings: Settings, folder: DataFolder) -> SigningKeys:
    """The keys from SIGNING_KEY (and SIGNING_KEY_PREVIOUS), or else from the data folder, where a secret is made at first use.

    Raises:
        KeyringError: the data folder's file is damaged.
        StorageError: it cannot be read or written.
    """
    given = [
        bytes.fromhex(key.get_secret_value()) for key in (settings.signing_key, settings.signing_key_previous) if key is not None
    ]
    if settings.signing_key is not None:
        return SigningKeys(given[0], given[1:])
    stored = read_signing_secrets(folder.keyring)
    return SigningKeys(stored[0], (*stored[1:], *given))


def encode_base64url(data: bytes) -> str:
    """Without padding (RFC 7515)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """With or without padding.

    Raises:
        ValueError: it is none.
    """
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=(_PURPOSE + purpose).encode()).derive(secret)
