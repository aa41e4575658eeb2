"""Pairs of a private and a public key, as PEM texts."""

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def make_key_pair(kind: str) -> tuple[str, str]:
    """Private key (PKCS#8, RFC 5958) and public key (SubjectPublicKeyInfo, RFC 5280), in PEM (RFC 7468)."""
    private = _make_private_key(kind)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), public.decode()


def _make_private_key(kind: str) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    match kind:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "ec-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return rsa.generate_private_key(public_exponent=65_537, key_size=3_072)
