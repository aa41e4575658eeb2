"""Asks the peer, which lives in a process and an environment of its own, for measurements."""

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

_SCRIPT: Final = Path(__file__).with_name("peer_dbos.py")


class PeerProcess:
    """`versions`: of the peer and its SQLite. Calls block until the peer has answered."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests = requests
        self._answers = answers
        self.versions = cast("dict[str, str]", self._read()["ready"])

    def measure_s(self, workload: str, *numbers: int) -> float:
        """Seconds that one round of the workload took."""
        self._requests.write(" ".join([workload, *map(str, numbers)]) + "\n")
        self._requests.flush()
        return cast("float", self._read()["seconds"])

    def _read(self) -> dict[str, object]:
        line = self._answers.readline()
        if not line:
            raise SystemExit("The peer ended early; its message stands above.")
        return cast("dict[str, object]", json.loads(line))


@contextmanager
def open_peer(python: Path, folder: Path, url: str | None = None) -> Generator[PeerProcess]:
    """The peer on a fresh database in `folder`, or on the one at `url`, run by the Python of its environment."""
    command = [python, _SCRIPT, folder] if url is None else [python, _SCRIPT, folder, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield PeerProcess(process.stdin, process.stdout)
            process.stdin.close()
            process.wait(timeout=60)
        finally:
            process.kill()
