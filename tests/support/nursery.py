"""Processes of `flowforge` that are quick to start: a parent that has imported everything forks them.

A worker's imports take a second of processor time; with two cores and hundreds of processes that die in tests, that is most of the time.
The child is what the console script is: `flowforge ARGUMENTS`, with its own environment, working folder, session and log.

`python -m tests.support.nursery`: reads a JSON object a line (`argv`, `env`, `cwd`, `log`), and writes one for each birth (`pid`) and each
death (`pid`, `code`). When its input ends, it kills what is left and ends.
"""

import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NoReturn, cast

from tests.architecture.sources import REPOSITORY

from flowforge.kit.crashpoint import crash_hook

BIRTH_S: Final = 60
DEATH_S: Final = 30
_PACKAGES: Final = ("flowforge.cluster", "flowforge.engine", "flowforge.entrypoints", "flowforge.runs", "flowforge.steps.http")
_OTHERS: Final = (
    "psycopg",
    "pymysql",
    "aiomysql",
    "redis",
    "redis.asyncio",
    "amqp",
    "kombu",
    "celery",
    "sqlalchemy.ext.asyncio",
    "uvicorn",
)


@dataclass
class Child:
    """A process of the nursery."""

    pid: int
    log: Path
    code: int | None = None
    """Its exit code; the negative number of the signal that ended it. None while it lives."""
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_alive(self) -> bool:
        return not self._ended.is_set()

    def send(self, what: signal.Signals) -> None:
        """Sends a signal to the process itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, what)

    def kill(self) -> None:
        """`kill -9`; what it had started goes with it. Returns when it is gone."""
        for send in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                send(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, timeout_s: float = DEATH_S) -> int:
        """Its exit code, once it has ended."""
        assert self._ended.wait(timeout_s), f"process {self.pid} goes on after {timeout_s:g} s: {self.tail()}"
        assert self.code is not None
        return self.code

    def tail(self, characters: int = 3_000) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def end(self, code: int) -> None:
        self.code = code
        self._ended.set()


class Nursery:
    """The parent, from the outside. `python_path`: folders that its children find modules and installed packages in."""

    def __init__(self, python_path: Sequence[Path] = ()) -> None:
        path = os.pathsep.join(str(folder) for folder in (REPOSITORY, *python_path))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOWFORGE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery"],
            cwd=REPOSITORY,
            env={**environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._children: dict[int, Child] = {}
        self._births: list[Child] = []
        self._changed = threading.Condition()
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="nursery")
        self._reader.start()

    def spawn(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> Child:
        """Starts `flowforge ARGUMENTS` in that working folder; what it says is added to the log."""
        order = {"argv": [*arguments], "env": {**environment}, "cwd": str(folder), "log": str(log)}
        with self._lock:
            stream = cast("IO[bytes]", self._process.stdin)
            stream.write(json.dumps(order).encode() + b"\n")
            stream.flush()
            with self._changed:
                is_born = self._changed.wait_for(lambda: self._births or self._process.poll() is not None, BIRTH_S)
                assert is_born, "the nursery is stuck"
                assert self._births, f"the nursery ended with {self._process.poll()}"
                child = self._births.pop()
            child.log = log
            return child

    def _read(self) -> None:
        for line in cast("IO[bytes]", self._process.stdout):
            told = json.loads(line)
            with self._changed:
                if "code" in told:
                    self._children.pop(told["pid"]).end(told["code"])
                else:
                    self._children[told["pid"]] = child = Child(told["pid"], Path())
                    self._births.append(child)
                self._changed.notify_all()
        with self._changed:
            for child in self._children.values():
                child.end(-signal.SIGKILL)
            self._changed.notify_all()

    def close(self) -> None:
        cast("IO[bytes]", self._process.stdin).close()
        self._process.wait(DEATH_S)
        self._reader.join()
        cast("IO[bytes]", self._process.stdout).close()


@contextmanager
def open_nursery(python_path: Sequence[Path] = ()) -> Generator[Nursery]:
    nursery = Nursery(python_path)
    try:
        yield nursery
    finally:
        nursery.close()


def import_everything() -> None:
    """What a role may need, so that no child imports it."""
    for name in _OTHERS:
        importlib.import_module(name)
    for package in _PACKAGES:
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            importlib.import_module(module.name)


def serve() -> None:
    """Forks as it is told on its input."""
    import_everything()
    ear, mouth = os.pipe()
    for end in (ear, mouth):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(mouth)
    alive: set[int] = set()
    pending = b""
    while True:
        readable, _, _ = select.select([0, ear], [], [])
        if ear in readable:
            with suppress(BlockingIOError):
                os.read(ear, 4_096)
            _tell_deaths(alive)
        if 0 in readable:
            data = os.read(0, 65_536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                alive.add(_fork(json.loads(line), (ear, mouth)))
    for pid in alive:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _say(told: Mapping[str, int]) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


def _tell_deaths(alive: set[int]) -> None:
    while alive:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        alive.discard(pid)
        _say({"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _fork(order: dict[str, Any], private: Sequence[int]) -> int:
    pid = os.fork()
    if pid == 0:
        _live(order, private)
    _say({"pid": pid})
    return pid


def _live(order: dict[str, Any], private: Sequence[int]) -> NoReturn:
    """The child's life: from here on it is `flowforge ARGUMENTS`."""
    code: object = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        _redirect(order["log"], private)
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        sys.argv = ["flowforge", *order["argv"]]
        from flowforge.entrypoints.cli.app import main

        _shift_clock()
        with crash_hook(_make_hook()):
            main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:  # noqa: BLE001 - a child tells why it fails before it exits
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _redirect(log: str, private: Sequence[int]) -> None:
    for descriptor in private:
        os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)


def _make_hook() -> Callable[[str], None]:
    """`TEST_DIE_AT` (`CP06`, or `CP06:3` for the third time): the process kills itself at that crash point."""
    name, _, times = os.environ.get("TEST_DIE_AT", "").partition(":")
    left = int(times or 1)

    def hook(point: str) -> None:
        nonlocal left
        left -= point == name
        if point == name and not left:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def _shift_clock() -> None:
    """`TEST_CLOCK_SHIFT_S`: the machine's wall clock is that far ahead in this process. The monotonic clock is not, as on a real machine."""
    shift_s = float(os.environ.get("TEST_CLOCK_SHIFT_S", "0"))
    if not shift_s:
        return
    import time

    tell_ns, tell_s = time.time_ns, time.time
    time.time_ns = lambda: tell_ns() + int(shift_s * 1_000_000_000)
    time.time = lambda: tell_s() + shift_s


if __name__ == "__main__":
    serve()
