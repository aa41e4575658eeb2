"""HTTP Digest access authentication (RFC 7616), with SHA-256, MD5 and their `-sess` forms, and `qop=auth`."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flowforge.steps.http.header_values import list_challenges

_SAFE: Final = re.compile(r"[^\x00-\x1f\x7f]*")


def _hash_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hash_md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


_HASHES: Final[dict[str, Callable[[str], str]]] = {"sha-256": _hash_sha256, "md5": _hash_md5}
"""The best first."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server wants to have digested."""

    realm: str
    nonce: str
    algorithm: str
    opaque: str | None
    has_quality: bool


def find_challenge(header: str | None) -> Challenge | None:
    """The best Digest challenge of WWW-Authenticate that can be answered; None if there is none."""
    found: dict[str, Challenge] = {}
    for scheme, facts in list_challenges(header):
        algorithm = facts.get("algorithm", "MD5")
        qualities = [quality.strip().lower() for quality in facts.get("qop", "").split(",") if quality.strip()]
        bare = algorithm.lower().removesuffix("-sess")
        is_known = scheme == "digest" and bare in _HASHES and "nonce" in facts and "realm" in facts
        if is_known and (not qualities or "auth" in qualities) and all(_SAFE.fullmatch(value) for value in facts.values()):
            challenge = Challenge(facts["realm"], facts["nonce"], algorithm, facts.get("opaque"), bool(qualities))
            found.setdefault(bare, challenge)
    return next((found[name] for name in _HASHES if name in found), None)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a challenge: path and query as they are sent, which request with this nonce it is, from 1, and a seed of our nonce."""

    method: str
    path: str
    count: int
    seed: str


def answer_challenge(challenge: Challenge, user: str, password: str, use: Use) -> str:
    """The Authorization header."""
    digest = _HASHES[challenge.algorithm.lower().removesuffix("-sess")]
    count, path = f"{use.count:08x}", use.path
    client_nonce = _make_nonce(use.seed, challenge.nonce)
    secret = digest(f"{user}:{challenge.realm}:{password}")
    if challenge.algorithm.lower().endswith("-sess"):
        secret = digest(f"{secret}:{challenge.nonce}:{client_nonce}")
    request = digest(f"{use.method}:{path}")
    middle = f"{challenge.nonce}:{count}:{client_nonce}:auth" if challenge.has_quality else challenge.nonce
    parts = [
        f"username={_quote(user)}",
        f"realm={_quote(challenge.realm)}",
        f"nonce={_quote(challenge.nonce)}",
        f"uri={_quote(path)}",
        f"algorithm={challenge.algorithm}",
        f'response="{digest(f"{secret}:{middle}:{request}")}"',
    ]
    if challenge.opaque is not None:
        parts.append(f"opaque={_quote(challenge.opaque)}")
    if challenge.has_quality:
        parts += ["qop=auth", f"nc={count}", f'cnonce="{client_nonce}"']
    return "Digest " + ", ".join(parts)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _make_nonce(seed: str, nonce: str) -> str:
    return _hash_sha256(f"{seed}\0{nonce}")[:32]
