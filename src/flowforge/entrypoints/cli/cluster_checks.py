"""The checks of `flowforge doctor` for a cluster: what all machines share, and who works."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from flowforge.cluster.messages import probe_broker
from flowforge.cluster.queues import (
    ALIVE,
    LATE,
    SCHEDULER_ROLE,
    QueueLine,
    WorkerLine,
    find_unserved,
    list_queues,
    list_workers,
)
from flowforge.engine.ports import RUN_QUEUE
from flowforge.entrypoints.cli.findings import Check, CheckState, guard
from flowforge.entrypoints.plain_links import list_plain_links
from flowforge.entrypoints.wiring import find_database_url, find_read_url
from flowforge.kit.bus.redis_urls import is_redis_url, parse_redis_url
from flowforge.kit.clock import Clock
from flowforge.kit.database.reading import Reader, reading
from flowforge.kit.database.schema import USABLE, SchemaState, read_schema
from flowforge.kit.database.session import open_sessions
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl
from flowforge.kit.errors import FlowForgeError, StorageError
from flowforge.kit.folder import DataFolder
from flowforge.kit.keyring import Keyring, open_keyring
from flowforge.kit.objects import open_shelf
from flowforge.kit.settings import Settings

SKEW_WARN_MS: Final = 1_000
SKEW_FAIL_MS: Final = 60_000
LATENCY_WARN_MS: Final = 20.0
_ROUNDS: Final = 5
_WORKER_ROLE: Final = "worker"
_VERSIONS: Final = {DatabaseKind.POSTGRES: "SHOW server_version", DatabaseKind.MYSQL: "SELECT VERSION()"}


@dataclass(frozen=True, slots=True)
class Staff:
    """Who works, and what waits."""

    workers: Sequence[WorkerLine]
    queues: Sequence[QueueLine]

    @property
    def living(self) -> list[WorkerLine]:
        return [worker for worker in self.workers if worker.state == ALIVE]


def run_cluster_checks(settings: Settings, folder: DataFolder, clock: Clock) -> list[Check]:
    """All checks of what many machines share. `clock`: this machine's."""
    checks = [
        guard("keys shared", lambda: check_shared_keys(settings)),
        guard("objects", lambda: check_objects(settings)),
        guard("broker", lambda: check_broker(settings, clock)),
        guard("redis", lambda: check_redis(settings, clock)),
        guard("transport", lambda: check_transport(settings)),
    ]
    try:
        url, replica = find_database_url(settings, folder), find_read_url(settings)
        with reading(url) as reader:
            checks += _check_server(reader, clock)
        now_ms = clock.now_ms() if not url.is_server else _read_time(url)
        staff = asyncio.run(_read_staff(url, settings, now_ms))
    except FlowForgeError as error:
        return [*checks, Check("database", CheckState.FAIL, "cannot be used", error.message)]
    checks.append(guard("secrets", lambda: check_secrets(url, open_keyring(folder.keyring, settings))))
    if replica is not None:
        checks.append(guard("replica", lambda: check_replica(replica, clock)))
    return [*checks, check_staff(staff), check_schedulers(staff), check_queues(staff), check_versions(staff)]


def _read_time(url: DatabaseUrl) -> int:
    with reading(url) as reader:
        return reader.read_time_ms()


async def _read_staff(url: DatabaseUrl, settings: Settings, now_ms: int) -> Staff:
    database = open_sessions(url)
    try:
        async with database.read() as session:
            workers = await list_workers(session, now_ms, expiry_ms=settings.expiry_ms)
            return Staff(workers, await list_queues(session, now_ms))
    finally:
        await database.close()


def _check_server(reader: Reader, clock: Clock) -> list[Check]:
    """Raises StorageError where the schema is not ours, so that nothing else can be asked."""
    schema = read_schema(reader)
    found = f"{reader.url.shown}, revision {schema.found or 'none'} ({schema.state.value})"
    checks = [
        guard("server", lambda: check_setup(reader)),
        guard("latency", lambda: check_latency(reader, clock)),
        guard("clock skew", lambda: check_skew(reader, clock)),
    ]
    if schema.state not in USABLE:
        newer = schema.state in {SchemaState.NEWER, SchemaState.FOREIGN}
        mend = "Name another database, install the version that wrote it, or bring the restore or copy that it holds to its end."
        raise StorageError(f"{found}: {mend if newer else '`flowforge db upgrade` brings it up to date.'}")
    state = CheckState.OK if schema.state is SchemaState.CURRENT else CheckState.WARN
    mend = "" if state is CheckState.OK else "A newer version has migrated it: bring this machine up to that version."
    return [Check("database", state, found, mend), *checks]


def check_setup(reader: Reader) -> Check:
    """Its version, and that it keeps what it has confirmed through a power cut."""
    version = str(reader.fetch(_VERSIONS[reader.url.kind])[0][0])
    reader.verify_setup()
    return Check("server", CheckState.OK, f"{reader.url.kind} {version}; keeps what it confirms")


def check_latency(reader: Reader, clock: Clock) -> Check:
    times_ms: list[float] = []
    for _ in range(_ROUNDS):
        begun_s = clock.monotonic_s()
        reader.fetch("SELECT 1")
        times_ms.append((clock.monotonic_s() - begun_s) * 1_000)
    median_ms = sorted(times_ms)[_ROUNDS // 2]
    found = f"{median_ms:.2f} ms to the database and back"
    if median_ms > LATENCY_WARN_MS:
        return Check("latency", CheckState.WARN, found, "Each step waits for some of them: let workers run near the database.")
    return Check("latency", CheckState.OK, found)


def check_skew(reader: Reader, clock: Clock) -> Check:
    """This machine's clock against the database's, by which all that is due is judged."""
    before_ms = clock.now_ms()
    told_ms = reader.read_time_ms()
    after_ms = clock.now_ms()
    # Between the two the database's time was read: what lies outside them is the difference.
    skew_ms = max(before_ms - told_ms, told_ms - after_ms, 0)
    way = "ahead of" if before_ms > told_ms else "behind"
    found = "less than a round trip" if not skew_ms else f"{skew_ms / 1_000:.1f} s {way} the database's clock"
    mend = "Keep the clocks of this machine and of the database's right with NTP."
    if skew_ms > SKEW_FAIL_MS:
        return Check("clock skew", CheckState.FAIL, found, mend)
    if skew_ms > SKEW_WARN_MS:
        return Check("clock skew", CheckState.WARN, found, mend)
    return Check("clock skew", CheckState.OK, found)


def check_replica(url: DatabaseUrl, clock: Clock) -> Check:
    begun_s = clock.monotonic_s()
    with reading(url) as reader:
        schema = read_schema(reader)
    took_ms = (clock.monotonic_s() - begun_s) * 1_000
    if schema.state not in USABLE:
        mend = "It is behind, or no replica of DATABASE_URL: mend DATABASE_READ_URL, or leave it out."
        return Check("replica", CheckState.WARN, f"{url.shown}, {schema.state.value}", mend)
    return Check("replica", CheckState.OK, f"{url.shown}, {took_ms:.0f} ms to connect and ask")


def check_shared_keys(settings: Settings) -> Check:
    """Whether the key is one that can be the same everywhere."""
    if settings.encryption_key is None:
        mend = "Set ENCRYPTION_KEY to the same on all machines: a key ring in a local folder is not shared, so others read no secret."
        return Check("keys shared", CheckState.WARN, "ENCRYPTION_KEY is not set", mend)
    return Check("keys shared", CheckState.OK, "ENCRYPTION_KEY is set")


def check_secrets(url: DatabaseUrl, ring: Keyring) -> Check:
    """Whether the keys of this machine are those that the secrets in the database were sealed with."""
    with reading(url) as reader:
        rows = reader.fetch("SELECT key_id, COUNT(*) FROM secrets GROUP BY key_id")
    total, foreign = sum(row[1] for row in rows), sum(row[1] for row in rows if not ring.has_key(row[0]))
    if foreign:
        mend = "Give this machine the ENCRYPTION_KEY of the others (the earlier one as ENCRYPTION_KEY_PREVIOUS), or set the secrets again."
        return Check("secrets", CheckState.FAIL, f"{foreign} of {total} do not open with the keys of this machine", mend)
    return Check("secrets", CheckState.OK, f"{total}, their keys are here" if total else "none is set")


def check_objects(settings: Settings) -> Check:
    """Where files and large values lie; a look at it shows that it is there."""
    if settings.object_store_url is None:
        mend = "Set OBJECT_STORE_URL to a folder or bucket that all machines share: else a file is only found where it was made."
        return Check("objects", CheckState.WARN, "OBJECT_STORE_URL is not set", mend)
    shelf = open_shelf(settings.object_store_url.get_secret_value())
    next(iter(shelf.scan("file")), None)
    return Check("objects", CheckState.OK, "reachable")


def check_broker(settings: Settings, clock: Clock) -> Check:
    if settings.broker_url is None:
        mend = "Set BROKER_URL, so that a start is told to workers at once."
        return Check("broker", CheckState.WARN, f"BROKER_URL is not set: workers look each {settings.poll_ms} ms", mend)
    begun_s = clock.monotonic_s()
    trouble = probe_broker(settings.broker_url.get_secret_value())
    took_ms = (clock.monotonic_s() - begun_s) * 1_000
    if trouble is not None:
        mend = f"Nothing is lost: workers look each {settings.poll_ms} ms. Check that it runs, and BROKER_URL."
        return Check("broker", CheckState.FAIL, f"does not answer ({trouble})", mend)
    return Check("broker", CheckState.OK, f"answers, {took_ms:.0f} ms to connect")


def check_redis(settings: Settings, clock: Clock) -> Check:
    """The Redis of events that many processes hear."""
    url = settings.redis_url
    if url is None and settings.broker_url is not None and is_redis_url(settings.broker_url.get_secret_value()):
        url = settings.broker_url
    if url is None:
        mend = "Set REDIS_URL, so that what happens on one machine is seen on the others at once."
        return Check("redis", CheckState.WARN, "neither REDIS_URL nor a Redis in BROKER_URL", mend)
    if find_spec("redis") is None:
        return Check("redis", CheckState.FAIL, "its package is not installed", "Run `pip install 'flowforge[celery]'`.")
    begun_s = clock.monotonic_s()
    trouble = asyncio.run(_ping(url.get_secret_value()))
    took_ms = (clock.monotonic_s() - begun_s) * 1_000
    if trouble is not None:
        mend = "Nothing is lost: who listens reads on when it is back. Check that it runs, and REDIS_URL."
        return Check("redis", CheckState.FAIL, f"does not answer ({trouble})", mend)
    return Check("redis", CheckState.OK, f"answers, {took_ms:.0f} ms to connect")


def check_transport(settings: Settings) -> Check:
    """Whether what goes to the database, the broker and Redis can be read on the way."""
    plain = list_plain_links(settings)
    if plain:
        found = ", ".join(f"{link.setting} ({link.host})" for link in plain)
        mend = "; ".join(dict.fromkeys(f"{link.setting}: {link.mend}" for link in plain))
        return Check("transport", CheckState.WARN, f"without TLS: {found}", f"{mend}.")
    return Check("transport", CheckState.OK, "TLS, a private network, or this machine")


async def _ping(url: str) -> str | None:
    """Why it does not answer; None where it does."""
    address = parse_redis_url(url)
    # Redis' package is an extra, which a cluster installs.
    from redis.exceptions import RedisError

    # As above.
    from flowforge.kit.bus.redis_connection import RedisClients

    clients = RedisClients(address)
    try:
        await clients.current.ping()
    except (RedisError, OSError) as fault:
        return str(fault) or type(fault).__name__
    finally:
        await clients.close()
    return None


def check_staff(staff: Staff) -> Check:
    """Living workers, and whether one of them takes runs."""
    late = [worker for worker in staff.workers if worker.state == LATE]
    living = [worker for worker in staff.living if worker.role == _WORKER_ROLE]
    takers = [worker for worker in living if RUN_QUEUE in worker.queues]
    found = f"{len(living)} alive, {len(takers)} take runs" + (f", {len(late)} late" if late else "")
    if not takers:
        mend = "`flowforge worker --queues default,heavy` starts one: runs wait until then."
        return Check("workers", CheckState.WARN, found, mend)
    if late:
        mend = "What they have goes to others as soon as a worker or a scheduler notices; see `flowforge workers`."
        return Check("workers", CheckState.WARN, found, mend)
    return Check("workers", CheckState.OK, found)


def check_schedulers(staff: Staff) -> Check:
    living = [worker for worker in staff.living if worker.role == SCHEDULER_ROLE]
    if not living:
        mend = "`flowforge scheduler` starts one; two on different machines are better, since one is elected."
        return Check("schedulers", CheckState.WARN, "none is alive", mend)
    leader = next((worker for worker in living if worker.is_leader), None)
    told = "none leads yet" if leader is None else f"number {leader.no} leads"
    return Check("schedulers", CheckState.OK, f"{len(living)} alive, {told}")


def check_queues(staff: Staff) -> Check:
    unserved = find_unserved(staff.queues, staff.workers)
    due = sum(line.due for line in staff.queues)
    if unserved:
        mend = f"`flowforge worker --queues {','.join(unserved)}` starts a worker for them."
        return Check("queues", CheckState.WARN, f"{due} due, nobody serves {', '.join(unserved)}", mend)
    return Check("queues", CheckState.OK, f"{due} due")


def check_versions(staff: Staff) -> Check:
    versions = sorted({worker.version for worker in staff.living if worker.version})
    if len(versions) > 1:
        mend = "Right while an upgrade rolls; else bring all to the newest: runs that it has touched are left to it."
        return Check("versions", CheckState.WARN, ", ".join(versions), mend)
    return Check("versions", CheckState.OK, "".join(versions) or "nobody is there")
