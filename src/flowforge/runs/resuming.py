"""Links that let a waiting run go on: whoever has the link may send the one signal that it names, and nothing else.

A token is the wait that it is for, behind an HMAC of it. Nothing is stored: what the link was for is done when the run does not wait for
it any more. The link that a definition reads as `run.resume_url` is made before any wait is there: it names the run alone, and means
whichever signal the run waits for when it is used, the oldest first.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.kit.border import decode, encode
from flowforge.kit.errors import InvariantError
from flowforge.kit.ids import is_id
from flowforge.kit.signing import SigningKeys, decode_base64url, encode_base64url
from flowforge.kit.values import JsonValue
from flowforge.runs.types import RunHeader, WaitingFor

RESUME_PATH: Final = "/resume/"
PURPOSE: Final = "resume"
_MAC_BYTES: Final = 20
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{40,2000}")


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """What a link is for: a run, or one wait of it for a signal. `expires_ms`: when that ends by itself (ms since 1970)."""

    workspace_id: str
    run_id: str
    wait: "SignalWait | None" = None
    expires_ms: int | None = None

    def choose(self, waits: Sequence[WaitingFor]) -> WaitingFor | None:
        """Of what the run waits for, the oldest first, that which the link is for."""
        signals = (wait for wait in waits if wait.kind == "signal")
        return next((wait for wait in signals if self.wait in (None, read_signal(wait))), None)


@dataclass(frozen=True, slots=True)
class SignalWait:
    """A step that waits for a signal of this name, and of this key where it has one."""

    step: str
    signal: str
    key: str | None


def read_signal(wait: WaitingFor) -> SignalWait:
    """What a wait for a signal is for."""
    key = wait.ref.get("key")
    return SignalWait(wait.step, str(wait.ref.get("name")), None if key is None else str(key))


def make_token(signing: SigningKeys, header: RunHeader, wait: WaitingFor) -> str:
    """The token of a run's wait for a signal."""
    meant = read_signal(wait)
    return _make(signing, [header.workspace_id, header.id, meant.step, meant.signal, meant.key, wait.until_ms])


def make_run_token(signing: SigningKeys, workspace_id: str, run_id: str) -> str:
    """The token of a run, for any signal that it will wait for."""
    return _make(signing, [workspace_id, run_id])


def make_url(public_url: str | None, token: str) -> str:
    """The link. Without a PUBLIC_URL it begins with the path."""
    return f"{public_url or ''}{RESUME_PATH}{token}"


def _make(signing: SigningKeys, facts: list[JsonValue]) -> str:
    data = encode(facts)
    return encode_base64url(_sign(signing.derive(PURPOSE), data) + data)


def read_token(signing: SigningKeys, text: str, now_ms: int) -> ResumeToken | None:
    """None: it is none of ours, was changed in any letter, or is too old."""
    data = _open(signing, text)
    if data is None:
        return None
    try:
        facts = decode(data)
    except InvariantError:
        return None
    match facts:
        case [str(workspace_id), str(run_id), str(step), str(signal), (str() | None) as key, (int() | None) as expires_ms]:
            token = ResumeToken(workspace_id, run_id, SignalWait(step, signal, key), expires_ms)
        case [str(workspace_id), str(run_id)]:
            token = ResumeToken(workspace_id, run_id)
        case _:
            return None
    is_fresh = token.expires_ms is None or now_ms < token.expires_ms
    return token if is_fresh and is_id(token.run_id, "run") else None


def _open(signing: SigningKeys, text: str) -> bytes | None:
    """What was signed; None where the signature is not ours. Signatures of the previous key hold too."""
    if not _TOKEN.fullmatch(text):
        return None
    try:
        opened = decode_base64url(text)
    except ValueError:
        return None
    # The last letter may have bits that decoding ignores: each token has one spelling.
    if encode_base64url(opened) != text:
        return None
    mac, data = opened[:_MAC_BYTES], opened[_MAC_BYTES:]
    is_ours = [hmac.compare_digest(_sign(key, data), mac) for key in signing.derive_all(PURPOSE)]
    return data if any(is_ours) else None


def _sign(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()[:_MAC_BYTES]
