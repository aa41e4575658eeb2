"""The tools of the databases themselves: found, checked for their version, called without a password in sight, and not trusted."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from flowforge.kit.database.url import DatabaseUrl
from flowforge.upkeep.errors import ProgramFailedError, ProgramMissingError

_POSTGRES_FOLDERS: Final = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_VERSION: Final = re.compile(r"\b(\d+)\.?(\d*)")
_COMPLAINT: Final = re.compile(r"(\S+: )?(got )?(error|fatal)\b", re.IGNORECASE)
_VERSION_S: Final = 20
_SAID_MOST: Final = 600
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")
"""Of the environment; not PGOPTIONS and its like, which would change what is dumped."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a program. `source` is its stdin, `target` its stdout."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    source: IO[bytes] | None = None
    target: IO[bytes] | None = None


def run_program(call: Call) -> str:
    """Runs it to its end; what it said on stderr.

    Raises:
        ProgramFailedError: its exit code is not 0, or it said that something went wrong.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | dict(call.environment)
    with tempfile.TemporaryFile() as told:
        done = subprocess.run(  # noqa: S603 - the command is a list of ours, without a shell
            list(call.command),
            env=environment,
            stdin=call.source or subprocess.DEVNULL,
            stdout=call.target or subprocess.DEVNULL,
            stderr=told,
            check=False,
        )
        told.seek(0)
        said = told.read().decode(errors="replace").strip()
    program = Path(call.command[0]).name
    if done.returncode != 0 or _is_complaint(said):
        raise ProgramFailedError(program, done.returncode, said[-_SAID_MOST:])
    return said


def _is_complaint(said: str) -> bool:
    """Whether it has told of an error in spite of a good exit code."""
    return any(_COMPLAINT.match(line) is not None for line in said.splitlines())


def find_postgres_program(name: str, server_version: int) -> str:
    """The path of pg_dump or pg_restore that is as new as the server (its major version) or newer; the oldest of those that are.

    Raises:
        ProgramMissingError: there is none, or all are older.
    """
    found: dict[int, str] = {}
    for path in _list_candidates(name):
        major = _read_version(path)
        if major is not None:
            found.setdefault(major, path)
    fitting = [major for major in found if major >= server_version]
    if fitting:
        return found[min(fitting)]
    package = f"Debian's package postgresql-client-{server_version} has it"
    if not found:
        raise ProgramMissingError(f"{name} is needed for a PostgreSQL database, and is not on PATH; {package}.")
    raise ProgramMissingError(
        f"{name} is of version {max(found)}, and the server of version {server_version}: it must not be older; {package}."
    )


def find_mysql_program(names: Sequence[str], *, is_mariadb: bool) -> str:
    """The path of the first of the programs that is there, those of the server's own make first.

    Raises:
        ProgramMissingError: there is none.
    """
    found = [path for name in names if (path := shutil.which(name)) is not None]
    own = [path for path in found if _is_of_mariadb(path) == is_mariadb]
    if own or found:
        return (own or found)[0]
    package = "mariadb-client" if is_mariadb else "mysql-client (default-mysql-client on Debian)"
    raise ProgramMissingError(f"{names[0]} is needed for this database, and is not on PATH; the package {package} has it.")


def _list_candidates(name: str) -> list[str]:
    found = shutil.which(name)
    listed = [] if found is None else [found]
    for pattern in _POSTGRES_FOLDERS:
        listed.extend(str(path) for path in sorted(Path("/").glob(f"{pattern[1:]}/{name}")))
    return listed


def _say_version(path: str) -> str:
    try:
        command = [path, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_VERSION_S, check=False)  # noqa: S603 - as above
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read_version(path: str) -> int | None:
    match = _VERSION.search(_say_version(path).replace("(PostgreSQL)", ""))
    return None if match is None else int(match[1])


def _is_of_mariadb(path: str) -> bool:
    return "mariadb" in _say_version(path).lower()


def postgres_environment(url: DatabaseUrl) -> dict[str, str]:
    """How libpq's programs learn where to connect: by the environment, which only this user may read."""
    environment = {
        "PGHOST": url.host or url.socket,
        "PGPORT": str(url.port),
        "PGUSER": url.user,
        "PGDATABASE": url.name,
        "PGCONNECT_TIMEOUT": "10",
        "PGCLIENTENCODING": "UTF8",
    }
    if url.password:
        environment["PGPASSWORD"] = url.password
    names = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
    names |= {"sslcrl": "PGSSLCRL", "channel_binding": "PGCHANNELBINDING", "passfile": "PGPASSFILE"}
    names |= {"target_session_attrs": "PGTARGETSESSIONATTRS"}
    return environment | {names[name]: value for name, value in url.options if name in names}


@contextmanager
def mysql_options_file(url: DatabaseUrl, program: str) -> Generator[str]:
    """A file of options with the password, which only this user may read and which is gone afterwards; its path."""
    lines = ["[client]", f"user={_quote(url.user)}", f"password={_quote(url.password)}", "default-character-set=utf8mb4"]
    lines += [f"socket={_quote(url.socket)}"] if url.socket else [f"host={_quote(url.host)}", f"port={url.port}", "protocol=tcp"]
    lines += _list_tls_options(dict(url.options), is_mariadb=_is_of_mariadb(program))
    with tempfile.NamedTemporaryFile("w", prefix="flowforge-", suffix=".cnf") as file:  # made with mode 0600
        file.write("\n".join(lines) + "\n")
        file.flush()
        yield file.name


def _list_tls_options(options: Mapping[str, str], *, is_mariadb: bool) -> list[str]:
    mode = options.get("ssl_mode", "verify_identity" if options else "disabled").lower()
    files = [f"{name.replace('_', '-')}={_quote(options[name])}" for name in ("ssl_ca", "ssl_cert", "ssl_key") if name in options]
    if not is_mariadb:
        return [*files, f"ssl-mode={mode.upper()}"]
    if mode == "disabled":
        return ["skip-ssl"]
    return [*files, "ssl", "ssl-verify-server-cert" if mode == "verify_identity" else "skip-ssl-verify-server-cert"]


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
