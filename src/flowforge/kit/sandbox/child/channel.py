"""The pipes of this process, and the words in which it ends a script."""

import json
import os
from dataclasses import dataclass

from flowforge.kit.sandbox.frames import LENGTH, pack_frame


@dataclass(frozen=True, slots=True)
class Task:
    """A script to run, or only to be read (`is_check`). `input_text` is JSON."""

    source: str
    input_text: str
    context: dict[str, object]
    cpu_s: float
    memory_bytes: int
    depth_max: int
    output_max_bytes: int
    is_check: bool = False


class Fault(Exception):
    """The script gave no result; the fields are those of `SandboxError`. `call`: the host's call whose failure it did not catch."""

    def __init__(
        self, code: str, message: str = "", *, line: int | None = None, column: int | None = None, call: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        self.call = call

    def to_json(self) -> str:
        return json.dumps(
            {"fault": self.code, "message": self.message, "line": self.line, "column": self.column, "call": self.call}
        )


class Channel:
    """Whole messages over standard input and output. Ends the process when the other end is gone."""

    def receive(self) -> str:
        size = LENGTH.unpack(self._read(LENGTH.size))[0]
        return self._read(size).decode()

    def _read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size > 0:
            piece = os.read(0, min(size, 2**20))
            if not piece:
                os._exit(0)
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def send(self, text: str) -> None:
        left = memoryview(pack_frame(text.encode()))
        while left:
            left = left[os.write(1, left) :]

    def receive_task(self) -> Task:
        told = json.loads(self.receive())
        return Task(input_text=self.receive(), **told)
