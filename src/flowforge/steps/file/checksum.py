"""`file.checksum`."""

import hashlib
import zlib
from collections.abc import Callable
from typing import Final, Literal, Protocol

from pydantic import Field

from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import FILE_INVALID, PATH_ERRORS, read_pieces, run_blocking
from flowforge.steps.file.passing import SourceParameters, name_target, open_source


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Crc32:
    """CRC-32 (ISO 3309) with the interface of a digest."""

    def __init__(self) -> None:
        self._state = 0

    def update(self, data: bytes, /) -> None:
        self._state = zlib.crc32(data, self._state)

    def hexdigest(self) -> str:
        return f"{self._state:08x}"


_DIGESTS: Final[dict[str, Callable[[], _Digest]]] = {
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "blake2b": hashlib.blake2b,
    "crc32": _Crc32,
}


class ChecksumParameters(SourceParameters):
    """Which file, and which checksum."""

    algorithm: Literal["sha256", "sha512", "sha1", "md5", "crc32", "blake2b"] = Field(
        default="sha256", description="The algorithm; sha1, md5 and crc32 tell accidents, not attacks."
    )
    expected: str | None = Field(
        default=None, description="The checksum that the file should have, in hexadecimal; another one fails the step."
    )


class ChecksumResult(StrictModel):
    """A checksum."""

    algorithm: str = Field(description="The algorithm.")
    checksum: str = Field(description="The checksum, in hexadecimal.")
    size: int = Field(description="The size of the file in bytes.")


@operation(
    "file.checksum",
    title="Checksum of a file",
    category="file",
    icon="fingerprint",
    nature=Nature.EFFECT,
    errors=(
        *PATH_ERRORS,
        FILE_INVALID,
        ErrorCode("checksum_mismatch", "The file has another checksum than `expected`."),
    ),
    target=name_target,
    examples=(
        Example(
            "SHA-256 of a file",
            {"path": "greetings/hello.txt"},
            {
                "algorithm": "sha256",
                "checksum": "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969",
                "size": 5,
            },
        ),
        Example(
            "Hold a file against a checksum",
            {"path": "greetings/hello.txt", "algorithm": "crc32", "expected": "F7D18982"},
            {"algorithm": "crc32", "checksum": "f7d18982", "size": 5},
        ),
    ),
)
async def checksum(parameters: ChecksumParameters, context: OperationContext) -> ChecksumResult:
    """Computes the checksum of a file of any size, and holds it against an expected one where that is given."""
    found, size_bytes = await run_blocking(lambda: _digest(parameters, context))
    if parameters.expected is not None and parameters.expected.strip().lower() != found:
        raise FatalError(
            f"The file's {parameters.algorithm} is {found}, not {parameters.expected.strip()[:200]!r}; fetch the file again.",
            code="checksum_mismatch",
        )
    return ChecksumResult(algorithm=parameters.algorithm, checksum=found, size=size_bytes)


def _digest(parameters: ChecksumParameters, context: OperationContext) -> tuple[str, int]:
    digest = _DIGESTS[parameters.algorithm]()
    size_bytes = 0
    file, _ = open_source(context, parameters)
    with file:
        for piece in read_pieces(file):
            digest.update(piece)
            size_bytes += len(piece)
    return digest.hexdigest(), size_bytes
