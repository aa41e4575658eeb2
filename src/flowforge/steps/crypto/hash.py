"""`crypto.hash`."""

import hashlib

from pydantic import Field

from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.crypto.digests import DIGEST_ERRORS, DigestParameters
from flowforge.steps.encoded import write_bytes


class HashParameters(DigestParameters):
    """What to hash, and how."""


class HashResult(StrictModel):
    """The hash."""

    hash: str = Field(description="The hash, written as asked.")


def hash_file(parameters: HashParameters, context: OperationContext) -> HashResult:
    """The hash of a file, read piece by piece."""
    digest = hashlib.new(parameters.algorithm, usedforsecurity=False)
    for piece in parameters.read_pieces(context):
        digest.update(piece)
    return HashResult(hash=write_bytes(digest.digest(), parameters.encoding))


@operation(
    "crypto.hash",
    title="Hash",
    category="crypto",
    icon="fingerprint",
    nature=Nature.PURE,
    with_file=hash_file,
    errors=DIGEST_ERRORS,
    examples=(
        Example(
            "The SHA-256 of a text",
            {"data": "hello"},
            {"hash": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
        ),
    ),
)
def hash_data(parameters: HashParameters) -> HashResult:
    """Digests a text, bytes or a file with a hash function, SHA-256 unless another is asked for."""
    digest = hashlib.new(parameters.algorithm, parameters.read_data(), usedforsecurity=False)
    return HashResult(hash=write_bytes(digest.digest(), parameters.encoding))
