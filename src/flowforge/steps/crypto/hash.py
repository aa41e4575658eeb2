"""`crypto.hash`."""

import hashlib

from flowforge.operations import ErrorCode, Example, Nature, operation
from flowforge.steps.crypto.digests import DigestParameters, DigestResult, write_digest


class HashParameters(DigestParameters):
    """What to hash, and how."""


@operation(
    "crypto.hash",
    title="Hash",
    category="crypto",
    icon="fingerprint",
    nature=Nature.PURE,
    errors=(ErrorCode("base64_invalid", "The parameter `base64` is no base64."),),
    examples=(
        Example(
            "The SHA-256 of a text",
            {"text": "hello"},
            {"digest": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "algorithm": "sha256"},
        ),
    ),
)
def hash_data(parameters: HashParameters) -> DigestResult:
    """Digests a text or bytes with a hash function, SHA-256 unless another is asked for."""
    digest = hashlib.new(parameters.algorithm, parameters.read_input(), usedforsecurity=False).digest()
    return DigestResult(digest=write_digest(digest, parameters.encoding), algorithm=parameters.algorithm)
