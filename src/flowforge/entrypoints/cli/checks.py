"""The checks of `flowforge doctor`: each looks at one thing and says how to mend it."""

import os
import resource
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from flowforge.entrypoints.cli.findings import Check, CheckState, guard
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.clock import Clock
from flowforge.kit.database.schema import SchemaState, check_schema
from flowforge.kit.database.url import name_sqlite
from flowforge.kit.errors import FlowForgeError
from flowforge.kit.folder import DataFolder, open_data_folder
from flowforge.kit.settings import Settings
from flowforge.language.times import format_timestamp_ms

OLDEST_PYTHON: Final = (3, 11)
OLDEST_SQLITE: Final = (3, 37, 0)
FREE_FAIL_BYTES: Final = 64 * 2**20
FREE_WARN_BYTES: Final = 2**30
FSYNC_WARN_MS: Final = 10.0
OPEN_FILES_WARN: Final = 1024
EPOCH_OF_BUILD_MS: Final = 1_735_689_600_000
"""2025-01-01: a clock that shows less was never set."""
_FSYNC_ROUNDS: Final = 20


def run_checks(settings: Settings, clock: Clock) -> list[Check]:
    """All checks of this machine. Those of the folder's content are left out where the folder itself cannot be used."""
    checks = [check_python(), check_sqlite(), check_open_files(), check_clock(clock)]
    try:
        folder = open_data_folder(settings.data)
    except FlowForgeError as error:
        return [*checks, Check("data folder", CheckState.FAIL, str(settings.data), error.message)]
    checks += [check_rights(folder), check_free_space(folder), check_fsync(folder, clock)]
    inner: list[tuple[str, Callable[[], Check]]] = [
        ("keys", lambda: check_keys(folder, settings)),
        ("operations", lambda: check_operations(folder, settings)),
    ]
    if settings.database_url is None:
        inner.insert(0, ("database", lambda: check_database(folder)))
        inner.insert(2, ("workers", lambda: check_workers(folder, settings)))
    return checks + [guard(name, look) for name, look in inner]


def check_python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Check("python", CheckState.FAIL, found, "Install Python 3.11 or newer.")
    return Check("python", CheckState.OK, found)


def check_sqlite() -> Check:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        return Check("sqlite", CheckState.FAIL, found, "Use a Python that was built with SQLite 3.37 or newer.")
    return Check("sqlite", CheckState.OK, found)


def check_open_files() -> Check:
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < OPEN_FILES_WARN:
        mend = f"Allow at least {OPEN_FILES_WARN}: `ulimit -n {min(max(most, limit), 65_536)}`, or LimitNOFILE in the service's unit."
        return Check("open files", CheckState.WARN, str(limit), mend)
    return Check("open files", CheckState.OK, str(limit))


def check_clock(clock: Clock) -> Check:
    now_ms = clock.now_ms()
    found = format_timestamp_ms(now_ms)
    if now_ms < EPOCH_OF_BUILD_MS:
        return Check("clock", CheckState.FAIL, found, "Set the machine's clock, and keep it right with NTP.")
    return Check("clock", CheckState.OK, found)


def check_rights(folder: DataFolder) -> Check:
    mode = folder.root.stat().st_mode & 0o777
    found = f"{folder.root} ({mode:04o})"
    if folder.root.stat().st_uid != os.getuid():
        return Check("data folder", CheckState.WARN, found, "It belongs to another user; give it to the one who runs FlowForge.")
    if mode & 0o077:
        return Check("data folder", CheckState.WARN, found, f"Others can read it: `chmod 700 {folder.root}`.")
    return Check("data folder", CheckState.OK, found)


def check_free_space(folder: DataFolder) -> Check:
    free_bytes = shutil.disk_usage(folder.root).free
    found = f"{free_bytes / 2**30:.1f} GiB free"
    if free_bytes < FREE_FAIL_BYTES:
        return Check(
            "disk", CheckState.FAIL, found, "Free some space: runs stop when the disk is full, and go on when there is room."
        )
    if free_bytes < FREE_WARN_BYTES:
        return Check("disk", CheckState.WARN, found, "Free some space, or let runs be kept for a shorter time (KEEP_RUNS).")
    return Check("disk", CheckState.OK, found)


def check_fsync(folder: DataFolder, clock: Clock) -> Check:
    """How long a write takes until it survives a power cut: each step with an effect waits for one."""
    times_ms = sorted(_measure_fsync(folder.run, clock))
    median_ms = times_ms[len(times_ms) // 2]
    found = f"{median_ms:.2f} ms for a durable write"
    if median_ms > FSYNC_WARN_MS:
        return Check("disk speed", CheckState.WARN, found, "Each step waits for the disk; put the data folder on an SSD.")
    return Check("disk speed", CheckState.OK, found)


def _measure_fsync(folder: Path, clock: Clock) -> list[float]:
    path = folder / f"doctor-{os.getpid()}.tmp"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    times_ms: list[float] = []
    try:
        for _ in range(_FSYNC_ROUNDS):
            begun_s = clock.monotonic_s()
            os.write(descriptor, b"x" * 4096)
            os.fdatasync(descriptor)
            times_ms.append((clock.monotonic_s() - begun_s) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return times_ms


def check_database(folder: DataFolder) -> Check:
    schema = check_schema(name_sqlite(folder.database))
    found = f"revision {schema.found or 'none'} ({schema.state.value})"
    if schema.state is SchemaState.NEWER:
        return Check("database", CheckState.FAIL, found, "A newer FlowForge wrote it: install that version, or restore a backup.")
    if schema.state is SchemaState.FOREIGN:
        return Check("database", CheckState.FAIL, found, "It belongs to another program: name another data folder.")
    if schema.state is SchemaState.OLDER:
        return Check("database", CheckState.WARN, found, "`flowforge db upgrade` brings it up to date; so does the next start.")
    return Check("database", CheckState.OK, found)


def check_keys(folder: DataFolder, settings: Settings) -> Check:
    # The cipher's library is loaded when keys are looked at.
    from flowforge.kit.keyring import open_keyring

    origin = ", made now"
    if settings.encryption_key is not None:
        origin = ", of ENCRYPTION_KEY"
    elif folder.keyring.exists():
        origin = ""
    ring = open_keyring(folder.keyring, settings)
    if folder.keyring.exists() and folder.keyring.stat().st_mode & 0o077:
        return Check("keys", CheckState.WARN, str(folder.keyring), f"Others can read the keys: `chmod 600 {folder.keyring}`.")
    return Check("keys", CheckState.OK, f"current key {ring.current_key_id}{origin}")


def check_workers(folder: DataFolder, settings: Settings) -> Check:
    """Workers that died without notice: their runs wait until some engine runs."""
    if check_schema(name_sqlite(folder.database)).state is not SchemaState.CURRENT:
        return Check("workers", CheckState.OK, "none has ever run")
    installation = Installation(settings, folder)
    try:
        alive = list(installation.store.alive())
        dead = installation.worker_locks.find_dead(alive)
    finally:
        installation.close()
    if dead:
        mend = "`flowforge runs continue` (or `flowforge up`) goes on with what they left behind."
        return Check("workers", CheckState.WARN, f"{len(alive) - len(dead)} alive, {len(dead)} dead", mend)
    return Check("workers", CheckState.OK, f"{len(alive)} alive")


def check_operations(folder: DataFolder, settings: Settings) -> Check:
    """Packages that offer operations or middlewares but cannot be loaded."""
    registry = Installation(settings, folder).registry
    names = ", ".join(middleware.name for middleware in registry.list_middlewares())
    told = f"{len(registry)} installed" + (f", with the middlewares {names} around them" if names else "")
    if registry.problems:
        return Check("operations", CheckState.WARN, told, " ".join(registry.problems))
    return Check("operations", CheckState.OK, told)
