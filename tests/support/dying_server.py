"""Servers that die at a place of their work: before a database statement, at a crash point, before or after a piece of an answer.

Each life is a process of its own, forked from the one that has imported everything, which is killed by SIGKILL; who asks it is outside.
The places of a request are counted in a life without a death, and named by what is done there and how often it was done before: so a
place is the same one in each life, whatever the threads do beside each other.
"""

import asyncio
import http.client
import json
import os
import re
import select
import signal
import socket
import sqlite3
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

import pytest
import uvloop
from sqlalchemy import text

from flowforge.engine.sqlite import store
from flowforge.entrypoints.running import open_engine
from flowforge.entrypoints.server import serving
from flowforge.entrypoints.server.duties import DutyLoops
from flowforge.entrypoints.server.listening import open_listener
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings

Place: TypeAlias = tuple[str, int]
"""What is done there, and the how-manieth time."""

START_S: Final = 20.0
DEATH_S: Final = 10.0
_QUIET_S: Final = 0.3
_ENDS: Final = frozenset({"COMMIT", "ROLLBACK"})
_VALUE: Final = re.compile(r"x?'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")
STILL: Final = {"poll_ms": 60_000, "beat_ms": 600_000, "expiry_ms": 1_200_000}
"""Nothing is looked for again and again: what goes on does so because it was told to."""


@dataclass
class Watch:
    """Is called at each place of this process from `begin` on, by whichever thread comes there; ends the process at its `target`."""

    target: Place | None
    seen: list[Place] = field(default_factory=list[Place])
    passed: int = 0
    """How many places there were before."""
    _counts: Counter[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        with self._lock:
            self._counts = Counter()

    def come(self, what: str) -> None:
        with self._lock:
            if self._counts is None:
                self.passed += 1
                return
            self._counts[what] += 1
            place = (what, self._counts[what])
            self.seen.append(place)
            if place == self.target:
                os.kill(os.getpid(), signal.SIGKILL)

    def follow_connection(self) -> Callable[[str], None]:
        """Takes each statement of one connection. The end of a transaction is named by what was said last in it."""
        last = ""

        def take(text: str) -> None:
            nonlocal last
            name = " ".join(_VALUE.sub("?", text).split())
            self.come(f"SQL {name} after {last}" if name in _ENDS else f"SQL {name}")
            last = name

        return take


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a server, the same each time."""

    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One that came whole."""

    status: int
    headers: Mapping[str, str]
    body: Any


def ask(port: int, request: Request) -> Answer | None:
    """None: no whole answer came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEATH_S)
    try:
        connection.request("POST", request.path, request.body, {"content-type": "application/json", **request.headers})
        answer = connection.getresponse()
        data = answer.read()
    except (ConnectionError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(data))


@dataclass
class Life:
    """A server that lives in another process. `told`: where it tells what it did; `startup`: the places that it came by before."""

    pid: int
    port: int
    told: int
    startup: int = 0
    code: int | None = None

    def read_line(self) -> str:
        """What it tells next; empty if it has died."""
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.told], [], [], START_S)
            assert ready, "the server is stuck"
            piece = os.read(self.told, 65_536)
            if not piece:
                return ""
            line += piece
        return line.decode()

    def list_places(self) -> list[Place]:
        """Ends it in order; where it came by since its start."""
        os.kill(self.pid, signal.SIGTERM)
        return [(what, nth) for what, nth in json.loads(self.read_line())]

    def dies(self) -> bool:
        """Whether it ends by itself, killed, soon."""
        end_s = time.monotonic() + DEATH_S
        while time.monotonic() < end_s:
            if self._look(os.WNOHANG):
                return self.code == -signal.SIGKILL
            time.sleep(0.002)
        return False

    def kill(self) -> None:
        """`kill -9`; returns when it is gone."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._look(0)

    def _look(self, options: int) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, options)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None


Opener: TypeAlias = Callable[[socket.socket, Watch | None], AbstractAsyncContextManager[object]]
"""Opens a server that listens there, in this process; the watch is told of its statements."""


@contextmanager
def open_life(open_server: Opener, target: Place | None = None, startup: int | None = None) -> Generator[Life]:
    """A server in a process of its own, which dies when it comes to the place. Killed at the end if it has not.

    `startup`: after so many places it has nothing to do but to answer; None: find it out.
    """
    listener = open_listener("127.0.0.1", 0)
    ear, mouth = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ear)
        _live(lambda: _serve(open_server, listener, Watch(target), startup, mouth))
    os.close(mouth)
    life = Life(pid, listener.getsockname()[1], ear)
    listener.close()
    try:
        ready = life.read_line()
        assert ready, "the server did not start"
        life.startup = int(ready)
        yield life
    finally:
        life.kill()
        os.close(ear)


def _live(work: Callable[[], Any]) -> NoReturn:
    code = 1
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work())
        code = 0
    except BaseException:  # noqa: BLE001 (a child tells why it fails before it exits)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _serve(open_server: Opener, listener: socket.socket, watch: Watch, startup: int | None, mouth: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    _trace_answers(watch)
    with crash_hook(watch.come):
        async with open_server(listener, watch):
            await _await_quiet(lambda: watch.passed, startup)
            watch.begin()
            os.write(mouth, b"%d\n" % watch.passed)
            await stop.wait()
            await _await_quiet(lambda: len(watch.seen), None)
            os.write(mouth, json.dumps(watch.seen).encode() + b"\n")


@asynccontextmanager
async def open_embedded(folder: Path, listener: socket.socket, watch: Watch | None) -> AsyncGenerator[None]:
    """An embedded server on a data folder."""
    if watch is not None:
        _trace_sqlite(watch)
    settings = {"data": folder, "port": listener.getsockname()[1], **STILL}
    installation = open_installation(Settings.model_validate(settings))
    tail, part = serving.prepare_embedded(installation)
    try:
        async with (
            open_engine(installation, name="up", takes_all=True, grace_ms=100, masker=Masker(), part=part) as engine,
            serving.open_embedded(installation, engine, tail, listener),
        ):
            await connect(installation)
            yield
    finally:
        await installation.aclose()


async def connect(installation: Installation) -> None:
    """A connection of the pool is there before the first request: what it says at first is of no request."""
    async with installation.database.read() as session:
        await session.execute(text("SELECT 1"))


async def _await_quiet(count: Callable[[], int], expected: int | None) -> None:
    """Returns when there are as many as expected, or no more are added."""
    known, end_s = -1, 0.0
    while count() > known or (time.monotonic() < end_s and not (expected and count() >= expected)):
        if count() > known:
            known, end_s = count(), time.monotonic() + _QUIET_S
        await asyncio.sleep(0.002)


@contextmanager
def still_servers() -> Generator[None]:
    """Until the block ends, servers begin without the duties that go by a clock of their own, and without a large log: every place is of
    what is asked for, and a start is quick.
    """

    def do_nothing(*_arguments: object) -> None:
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DutyLoops, "start", do_nothing)
        patch.setattr(store, "make_log_room", do_nothing)
        yield


def _trace_sqlite(watch: Watch) -> None:
    """Every connection that is made from now on tells each statement before it is executed."""
    connect_plainly: Any = sqlite3.connect

    def connect_traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect_plainly(*arguments, **named)
        connection.set_trace_callback(watch.follow_connection())
        return connection

    pytest.MonkeyPatch().setattr(sqlite3, "connect", connect_traced)


def _trace_answers(watch: Watch) -> None:
    """Every answer tells before and after each piece is handed to the socket."""
    serve: Any = serving.serve_application

    def serve_traced(app: Any, *arguments: Any, **named: Any) -> Any:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            async def tell(message: Any) -> None:
                watch.come(f"before {message['type']}")
                await send(message)
                watch.come(f"after {message['type']}")

            await app(scope, receive, tell)

        return serve(answer, *arguments, **named)

    pytest.MonkeyPatch().setattr(serving, "serve_application", serve_traced)
