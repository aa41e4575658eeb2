"""The composition root: from settings to everything that works on one data folder. Nothing is opened before it is asked for."""

import os
import socket
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flowforge import __version__
from flowforge.kit.border import decode
from flowforge.kit.chance import draw_fraction
from flowforge.kit.clock import Clock, SystemClock
from flowforge.kit.database.clock import DatabaseClock
from flowforge.kit.database.readiness import require_ready
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import DatabaseUrl, name_sqlite, parse_database_url
from flowforge.kit.folder import DataFolder, open_data_folder
from flowforge.kit.ids import IdSource
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from flowforge.cluster.doorbell import CeleryDoorbell
    from flowforge.engine.events import BlobRef
    from flowforge.engine.executor.liveness import WorkerLocks
    from flowforge.engine.ports import Doorbell
    from flowforge.engine.store import Store
    from flowforge.kit.caching import MemoryCache
    from flowforge.kit.database.session import Database
    from flowforge.kit.keyring import Keyring
    from flowforge.kit.objects import ObjectStore
    from flowforge.kit.telemetry.exporting import TraceExport
    from flowforge.kit.telemetry.metrics import Metrics
    from flowforge.kit.values import JsonObject, JsonValue
    from flowforge.language.code_checks import CodeFault
    from flowforge.language.graph import Workflow
    from flowforge.operations.definition import Operation
    from flowforge.operations.registry import Registry
    from flowforge.workflows.types import Checked, Source


class Toolbox:
    """What needs no data folder: the operations that are installed here, and the compiler that knows them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def registry(self) -> "Registry":
        # The operations bring their libraries with them (an HTTP client): only for who compiles or calls them.
        from flowforge.steps import load_registry

        return load_registry()

    def check_source(self, source: "Source") -> "Checked":
        """Reads and compiles a document."""
        # As above.
        from flowforge.language.compiler import compile_document
        from flowforge.workflows.types import Checked

        limits = self.settings.limits
        made = compile_document(source.data, self.registry, limits, text_format=source.format, check_code=self._check_code)
        return Checked(
            document=made.document if made.is_readable and isinstance(made.document, dict) else None,
            workflow=made.workflow,
            errors=[fault.to_detail() for fault in made.errors],
            warnings=[fault.to_detail() for fault in made.warnings],
            metadata=None if made.metadata is None else made.metadata.to_json(),
        )

    def _check_code(self, operation: "Operation", parameter: str, text: str) -> "CodeFault | None":
        if parameter != "source":
            return None
        # The sandbox, for documents with scripts only.
        from flowforge.entrypoints.script_checks import check_script

        return check_script(operation, text, self.settings.limits)

    def compile_definition(self, document: "JsonObject") -> "Workflow | None":
        """The compiled form of a stored definition; None where it uses what this version does not know."""
        # As above.
        from flowforge.language.compiler import compile_document

        return compile_document(document, self.registry, self.settings.limits).workflow


class Installation(Toolbox):
    """An open data folder and its database. `close` (or `aclose` inside a loop, where sessions were used) at the end.

    `clock`: where the database is on a server it is that server's, which the store (or who opened the installation) reads.
    """

    def __init__(self, settings: Settings, folder: DataFolder, clock: DatabaseClock | None = None) -> None:
        super().__init__(settings)
        self.folder = folder
        self.database_url = find_database_url(settings, folder)
        self._server_clock = clock or DatabaseClock()
        self.clock: Clock = self._server_clock if self.database_url.is_server else SystemClock()
        self.ids = IdSource(self.clock)

    @cached_property
    def store(self) -> "Store":
        """The engine's store, for this command's own use; an engine opens its own."""
        return self.open_store()

    def open_store(self) -> "Store":
        """A store that the caller closes."""
        if self.database_url.is_server:
            # For who works on a server's database; it needs a driver that others do not install.
            from flowforge.engine.database_server.store import DatabaseServerStore

            return DatabaseServerStore(self.database_url, self._server_clock, draw_fraction)
        # For commands that only compile, the store is never opened.
        from flowforge.engine.sqlite.store import SqliteStore

        return SqliteStore(self.database_url.file, self.clock, draw_fraction)

    @cached_property
    def database(self) -> "Database":
        """Sessions for everything but the engine's hot statements."""
        # SQLAlchemy costs 0.2 s and 20 MiB, which a running engine and `flowforge run FILE` do without.
        from flowforge.kit.database.session import open_sessions

        if not self.database_url.is_server:
            return open_sessions(self.database_url)
        return open_sessions(self.database_url, pool=self.settings.database_pool, read_url=find_read_url(self.settings))

    @cached_property
    def keyring(self) -> "Keyring":
        # The cipher's library is loaded when a secret is read or written.
        from flowforge.kit.keyring import open_keyring

        return open_keyring(self.folder.keyring, self.settings)

    @cached_property
    def objects(self) -> "ObjectStore":
        """Files and large values: in the data folder, or where OBJECT_STORE_URL says.

        Raises:
            ValidationError: OBJECT_STORE_URL cannot be read.
        """
        # Loaded when a value lies there.
        from flowforge.kit.objects import ObjectStore, open_shelf

        url = self.settings.object_store_url
        return ObjectStore(self.folder.files if url is None else open_shelf(url.get_secret_value()), self.ids)

    @cached_property
    def results(self) -> "MemoryCache":
        """Results of operations that are used again in this process."""
        # For who calls an operation that keeps its results.
        from flowforge.kit.caching import MemoryCache

        return MemoryCache(self.clock)

    @cached_property
    def worker_locks(self) -> "WorkerLocks":
        """The lock files by which workers of this folder prove that they live."""
        # For who runs an engine, or asks whether one runs.
        from flowforge.engine.executor.liveness import WorkerLocks

        return WorkerLocks(self.folder.run / "workers")

    @property
    def doorbell(self) -> "Doorbell":
        """Tells workers to look, by the broker of BROKER_URL; where there is none they look by themselves.

        Who is about to commit something asks for it before: making it may fail, ringing does not.

        Raises:
            ValidationError: BROKER_URL names no broker, or Celery is not installed.
        """
        # The engine's package, for who does not run one.
        from flowforge.engine.ports import Silence

        return self._bell or Silence()

    @cached_property
    def _bell(self) -> "CeleryDoorbell | None":
        url = self.settings.broker_url
        if url is None:
            return None
        # Celery costs 0.1 s and 20 MiB, for a cluster only.
        from flowforge.cluster.doorbell import CeleryDoorbell

        return CeleryDoorbell(url.get_secret_value(), SystemClock(), self.metrics)

    @cached_property
    def metrics(self) -> "Metrics":
        """The figures of this process."""
        # For who runs an engine, or rings.
        from flowforge.kit.telemetry.metrics import Metrics

        return Metrics()

    @cached_property
    def tracing(self) -> "Tracing":
        """Spans of this process, which go where OTLP_ENDPOINT says; silent without it.

        Raises:
            ValidationError: OTLP_ENDPOINT is no address, or the extra `otel` is not installed.
        """
        return Tracing() if self._trace_export is None else self._trace_export.tracing

    @cached_property
    def _trace_export(self) -> "TraceExport | None":
        if self.settings.otlp_endpoint is None:
            return None
        # OpenTelemetry's SDK, for who traces only.
        from flowforge.kit.telemetry.exporting import TraceExport

        return TraceExport(self.settings.otlp_endpoint, version=__version__, instance=f"{socket.gethostname()}-{os.getpid()}")

    def load_blob(self, ref: "BlobRef") -> "JsonValue":
        """A value that was too large for the journal.

        Raises:
            ObjectMissingError: it is not there any more.
        """
        return decode(self.objects.read(ref["id"]))

    async def aclose(self) -> None:
        """Closes what was opened."""
        if "database" in self.__dict__:
            await self.database.close()
        self.close()

    def close(self) -> None:
        """Closes the store, where it was opened, and lets the last rings and spans get out."""
        if "store" in self.__dict__:
            self.store.close()
        bell: CeleryDoorbell | None = self.__dict__.get("_bell")
        if bell is not None:
            bell.close()
        export: TraceExport | None = self.__dict__.get("_trace_export")
        if export is not None:
            export.close()


def open_installation(settings: Settings) -> Installation:
    """Opens the data folder of the settings, made where there is none, and its database.

    SQLite is brought to this version's revision. A server's database must be there already (`flowforge db upgrade`).

    Raises:
        ValidationError: DATABASE_URL or DATABASE_READ_URL cannot be read.
        StorageError: the folder or the database cannot be used, or a newer version wrote it; the message says how to mend it.
    """
    folder = open_data_folder(Path(settings.data))
    url = find_database_url(settings, folder)
    find_read_url(settings)
    if url.is_server:
        return Installation(settings, folder, require_ready(url))
    upgrade_database(url)
    return Installation(settings, folder)


def find_database_url(settings: Settings, folder: DataFolder) -> DatabaseUrl:
    """The database of DATABASE_URL, else SQLite in the data folder.

    Raises:
        ValidationError: DATABASE_URL cannot be read.
    """
    if settings.database_url is None:
        return name_sqlite(folder.database)
    return parse_database_url(settings.database_url.get_secret_value())


def find_read_url(settings: Settings) -> DatabaseUrl | None:
    """The replica of DATABASE_READ_URL.

    Raises:
        ValidationError: DATABASE_READ_URL cannot be read.
    """
    if settings.database_read_url is None:
        return None
    return parse_database_url(settings.database_read_url.get_secret_value(), "DATABASE_READ_URL")
