"""Links that let a waiting run go on: whoever has the link may send the one signal that it names, and nothing else.

A token is the wait that it is for, behind an HMAC of it. Nothing is stored: what the link was for is done when the run does not wait for
it any more.
"""

import hashlib
import hmac
import re
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
    """What a link is for: a step of a run that waits for a signal. `expires_ms`: when the wait ends by itself (ms since 1970)."""

    workspace_id: str
    run_id: str
    step: str
    signal: str
    key: str | None
    expires_ms: int | None

    def is_for(self, wait: WaitingFor) -> bool:
        """Whether the link is for this wait."""
        ref = wait.ref
        return wait.kind == "signal" and wait.step == self.step and ref.get("name") == self.signal and ref.get("key") == self.key


def make_token(signing: SigningKeys, header: RunHeader, wait: WaitingFor) -> str:
    """The token of a run's wait for a signal."""
    facts: list[JsonValue] = [
        header.workspace_id,
        header.id,
        wait.step,
        wait.ref.get("name"),
        wait.ref.get("key"),
        wait.until_ms,
    ]
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
            token = ResumeToken(workspace_id, run_id, step, signal, key, expires_ms)
            is_fresh = expires_ms is None or now_ms < expires_ms
            return token if is_fresh and is_id(run_id, "run") else None
        case _:
            return None


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
