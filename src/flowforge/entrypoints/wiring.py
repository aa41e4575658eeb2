"""The composition root: from settings to everything that works on one data folder. Nothing is opened before it is asked for."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flowforge.kit.border import decode
from flowforge.kit.chance import draw_fraction
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.folder import DataFolder, open_data_folder
from flowforge.kit.ids import IdSource
from flowforge.kit.settings import Settings

if TYPE_CHECKING:
    from flowforge.engine.events import BlobRef
    from flowforge.engine.executor.liveness import WorkerLocks
    from flowforge.engine.store import Store
    from flowforge.kit.database.session import Database
    from flowforge.kit.keyring import Keyring
    from flowforge.kit.objects import ObjectStore
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
    """An open data folder. `close` (or `aclose` inside a loop, where sessions were used) at the end."""

    def __init__(self, settings: Settings, folder: DataFolder) -> None:
        super().__init__(settings)
        self.folder = folder
        self.clock = SystemClock()
        self.ids = IdSource(self.clock)

    @cached_property
    def store(self) -> "Store":
        """The engine's store, for this command's own use; an engine opens its own."""
        return self.open_store()

    def open_store(self) -> "Store":
        """A store that the caller closes."""
        # For commands that only compile, the store is never opened.
        from flowforge.engine.sqlite.store import SqliteStore

        return SqliteStore(self.folder.database, self.clock, draw_fraction)

    @cached_property
    def database(self) -> "Database":
        """Sessions for everything but the engine's hot statements."""
        # SQLAlchemy costs 0.2 s and 20 MiB, which a running engine and `flowforge run FILE` do without.
        from flowforge.kit.database.session import open_sessions

        return open_sessions(self.folder.database)

    @cached_property
    def keyring(self) -> "Keyring":
        # The cipher's library is loaded when a secret is read or written.
        from flowforge.kit.keyring import open_keyring

        return open_keyring(self.folder.keyring, self.settings)

    @cached_property
    def objects(self) -> "ObjectStore":
        """Files and large values."""
        # Loaded when a value lies there.
        from flowforge.kit.objects import ObjectStore

        return ObjectStore(self.folder.files, self.ids)

    @cached_property
    def worker_locks(self) -> "WorkerLocks":
        """The lock files by which workers of this folder prove that they live."""
        # For who runs an engine, or asks whether one runs.
        from flowforge.engine.executor.liveness import WorkerLocks

        return WorkerLocks(self.folder.run / "workers")

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
        """Closes the store, where it was opened."""
        if "store" in self.__dict__:
            self.store.close()


def open_installation(settings: Settings) -> Installation:
    """Opens the data folder of the settings, made where there is none, its database at this version's revision.

    Raises:
        StorageError: the folder or the database cannot be used, or a newer version wrote it; the message says how to mend it.
    """
    folder = open_data_folder(Path(settings.data))
    upgrade_database(folder.database)
    return Installation(settings, folder)
