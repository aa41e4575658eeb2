"""What the roles of a cluster share: their logs, their health pages, and waiting for the database at the start."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from flowforge import __version__
from flowforge.cluster.health import HealthPages, Stage
from flowforge.cluster.health_checks import check_clock, check_database, check_objects
from flowforge.cluster.health_server import serve_pages
from flowforge.engine.store import WorkerFacts
from flowforge.entrypoints.log_export import export_logs
from flowforge.entrypoints.plain_links import warn_of_plain_links
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.errors import DatabaseBusyError, DatabaseLockedError, DatabaseUnreachableError
from flowforge.kit.ids import make_id
from flowforge.kit.masking import Masker
from flowforge.kit.objects import ObjectMissingError
from flowforge.kit.settings import LogFormat, Settings
from flowforge.kit.telemetry import LogPipe, get_logger, start_logging
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.kit.telemetry.outputs import StreamOutput

_RETRY_S: Final = 1.0
_MAY_COME: Final = (DatabaseUnreachableError, DatabaseBusyError, DatabaseLockedError)

logger = get_logger("roles")


@dataclass(frozen=True, slots=True)
class Role:
    """A process of a cluster, from its start on. `address`: of its health pages. `stop` is set when it is told to end."""

    settings: Settings
    metrics: Metrics
    pages: HealthPages
    address: str
    log: LogPipe
    masker: Masker
    stop: asyncio.Event

    def describe(self, role: str, queues: Sequence[str] = ()) -> WorkerFacts:
        """What the process tells of itself when it registers."""
        self.metrics.show_worker(role, __version__, ",".join(queues))
        return WorkerFacts(
            role=role,
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=tuple(queues),
            address=self.address,
        )

    async def work(self, carry: Callable[[Installation], Awaitable[None]]) -> None:
        """Calls `carry` with the opened installation; it returns when the process is told to end.

        Where the database goes away before the role is ready, it is waited for, and everything begins anew.

        Raises:
            StorageError: as `open_installation`, and whatever `carry` raises otherwise.
        """
        while (installation := await self.open_installation()) is not None:
            try:
                await carry(installation)
            except _MAY_COME as fault:
                if self.pages.stage is not Stage.STARTING:
                    raise
                logger.warning("The database went away during the start.", cause=fault.message)
            else:
                return
            finally:
                await installation.aclose()
            await wait_at_most(self.stop, _RETRY_S)

    async def open_installation(self) -> Installation | None:
        """The installation, with its checks on the health pages; None: the process was told to end while the database was away.

        Raises:
            StorageError: what waiting does not mend: the schema is another version's, the user or the password is wrong.
        """
        installation = await self._wait_for_database()
        if installation is not None:
            installation.metrics = self.metrics
            self.pages.add(
                check_database(lambda: installation.database),
                check_clock(SystemClock(), installation.clock),
                check_objects(lambda: look_at_objects(installation)),
            )
        return installation

    async def _wait_for_database(self) -> Installation | None:
        has_told = False
        while not self.stop.is_set():
            try:
                return await asyncio.to_thread(open_installation, self.settings)
            except _MAY_COME as fault:
                if not has_told:
                    logger.warning("Waiting for the database.", cause=fault.message)
                has_told = True
            await wait_at_most(self.stop, _RETRY_S)
        return None


@asynccontextmanager
async def open_role(settings: Settings, name: str, stop: asyncio.Event) -> AsyncGenerator[Role]:
    """Logs to standard error and serves health pages, which say that the process starts, until it has opened what it needs.

    Raises:
        ValidationError: HOST and HEALTH_PORT cannot be listened on, or the URL of a database cannot be used.
    """
    metrics, masker = Metrics(), Masker()
    token = None if settings.metrics_token is None else settings.metrics_token.get_secret_value()
    pages = HealthPages([], metrics, clock=SystemClock(), version=__version__, metrics_token=token)
    with log_to_stderr(settings, masker) as log:
        log.describe_process = lambda: {"role": name}
        warn_of_plain_links(settings)
        async with serve_pages(pages, settings.host, settings.health_port) as address:
            yield Role(settings, metrics, pages, address, log, masker, stop)


@contextmanager
def log_to_stderr(settings: Settings, masker: Masker) -> Generator[LogPipe]:
    """Log lines of a process in a cluster: whoever runs it collects what it writes there."""
    urls = (settings.database_url, settings.database_read_url, settings.broker_url, settings.redis_url, settings.object_store_url)
    for secret in urls:
        if secret is not None:
            masker.add(secret.get_secret_value())
            masker.add(unquote(urlsplit(secret.get_secret_value()).password or ""))
    is_console = settings.log_format is LogFormat.CONSOLE
    with (
        start_logging(StreamOutput(), level=settings.log_level.value, masker=masker, is_console=is_console) as pipe,
        export_logs(settings, masker, lambda: pipe.describe_process()),  # noqa: PLW0108 (the role sets it afterwards)
    ):
        yield pipe


def look_at_objects(installation: Installation) -> None:
    """Asks the object store for a file that is not there.

    Raises:
        StorageError, OSError: it does not answer.
    """
    try:
        installation.objects.open(make_id("file")).close()
    except ObjectMissingError:
        return


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, or that time is over."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
