"""What hash and hmac take alike: the input, the algorithm, and how the result is written."""

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field, model_validator

from flowforge.operations import ErrorCode, FileInput, OperationContext, StrictModel, require_one
from flowforge.steps.encoded import Encoding, read_bytes
from flowforge.steps.stored import STORED_ERRORS, open_stored

Algorithm = Literal["sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "sha1", "md5"]

_PIECE_BYTES: Final = 2**20

DIGEST_ERRORS: Final = (
    ErrorCode("encoding_invalid", "A text is not written in the encoding that is named for it."),
    *STORED_ERRORS,
)


class DigestParameters(StrictModel):
    """What is digested: exactly one of `data` and `file`."""

    data: str | None = Field(default=None, description="The text to digest, or bytes in the encoding `data_encoding`.")
    file: FileInput | None = Field(default=None, description="The file to digest, a file value; of any size.")
    data_encoding: Literal["text", "hex", "base64", "base64url"] = Field(
        default="text", description="What `data` is: text, digested in UTF-8, or bytes written in this encoding."
    )
    algorithm: Algorithm = Field(
        default="sha256", description="The algorithm; sha1 and md5 are broken and only there for old partners."
    )
    encoding: Encoding = Field(default="hex", description="How the result is written.")

    @model_validator(mode="after")
    def _check_one_input(self) -> "DigestParameters":
        require_one(self, "data", "file")
        return self

    def read_data(self) -> bytes:
        """Raises FatalError (`encoding_invalid`)."""
        return read_bytes(self.data or "", self.data_encoding, "data")

    def read_pieces(self, context: OperationContext) -> Iterator[bytes]:
        """The bytes of the data or of the file; blocks. Raises FatalError (`encoding_invalid`, `file_invalid`, `file_missing`)."""
        if self.file is None:
            yield self.read_data()
            return
        with open_stored(context, self.file) as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece
