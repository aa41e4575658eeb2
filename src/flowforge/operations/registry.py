"""All operations that are installed here, and how they are found."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType, ModuleType
from typing import Final, TypeVar

from flowforge.kit.errors import AlreadyExistsError, NotFoundError
from flowforge.operations.declaration import DefinitionError, check_operation
from flowforge.operations.definition import Operation
from flowforge.operations.middleware import Middleware, check_middleware

logger = logging.getLogger(__name__)

OfferedT = TypeVar("OfferedT")

ENTRY_POINT_GROUP: Final = "flowforge.operations"
"""A package offers operations by an entry point of this group that names a module; every `Operation` in the module is taken."""
MIDDLEWARE_GROUP: Final = "flowforge.middlewares"
"""Middlewares likewise: every `Middleware` in the module is taken."""


class Registry:
    """Operations by their name, and the middlewares around them. `problems` holds a sentence for what could not be taken.

    Those of `modules` (by the name of the operation, the name of its module) are imported when they are asked for.
    """

    def __init__(self, modules: Mapping[str, str] = MappingProxyType({}), source: str = "flowforge") -> None:
        self._modules = dict(modules)
        self._operations: dict[str, Operation] = {}
        self._sources: dict[str, str] = dict.fromkeys(modules, source)
        self._middlewares: dict[str, Middleware] = {}
        self._around: dict[str, tuple[Middleware, ...]] = {}
        self.problems: list[str] = []

    def register(self, operation: Operation, source: str = "this program") -> None:
        """Takes the operation in. `source` names the package that brings it.

        Raises:
            AlreadyExistsError: another operation has the name; the message names both packages.
            DefinitionError: the operation could not be served.
        """
        check_operation(operation)
        holder = self.find(operation.name)
        if holder is not None and holder is not operation:
            raise AlreadyExistsError(
                f"The operation {operation.name} of {source} was not taken, because {self._sources[operation.name]} has one of "
                "that name; rename one of them or uninstall one package."
            )
        self._operations[operation.name] = operation
        self._sources.setdefault(operation.name, source)

    def register_module(self, module: ModuleType, source: str) -> None:
        """Takes every operation among the module's names; one that is refused becomes a problem, and the rest goes on."""
        for found in list(vars(module).values()):
            if isinstance(found, Operation):
                self._register_or_report(self.register, found, source)

    def register_middleware(self, middleware: Middleware, source: str = "this program") -> None:
        """Takes the middleware in.

        Raises:
            AlreadyExistsError: another middleware has the name.
            DefinitionError: it could not be called.
        """
        check_middleware(middleware)
        if self._middlewares.setdefault(middleware.name, middleware) is not middleware:
            raise AlreadyExistsError(
                f"The middleware {middleware.name} of {source} was not taken: there is another one of that name."
            )
        self._around.clear()

    def list_middlewares(self) -> list[Middleware]:
        """All of them, the outermost first."""
        return sorted(self._middlewares.values(), key=lambda middleware: (middleware.priority, middleware.name))

    def find_middlewares(self, operation: str) -> tuple[Middleware, ...]:
        """Those that stand around the attempts of an operation, the outermost first. Cheap: asked at each attempt."""
        if not self._middlewares:
            return ()
        found = self._around.get(operation)
        if found is None:
            found = tuple(middleware for middleware in self.list_middlewares() if middleware.covers(operation))
            self._around[operation] = found
        return found

    def register_installed(self) -> None:
        """Takes what all installed packages offer; a broken package becomes one problem, and the rest goes on."""
        points = entry_points()
        for group in (ENTRY_POINT_GROUP, MIDDLEWARE_GROUP):
            for point in sorted(points.select(group=group), key=lambda point: (_package_of(point), point.name)):
                self._register_entry_point(point)

    def find(self, name: str) -> Operation | None:
        found = self._operations.get(name)
        if found is None and name in self._modules:
            found = self._operations[name] = _find_operation(self._modules[name], name)
        return found

    def get(self, name: str) -> Operation:
        """Raises NotFoundError when no operation has the name."""
        found = self.find(name)
        if found is None:
            # Start-up cost: only a mistake pays for it.
            from difflib import get_close_matches

            close = get_close_matches(name, self.names(), n=1)
            guess = f" Did you mean {close[0]}?" if close else ""
            raise NotFoundError(
                f"There is no operation {name}; `flowforge operations list` shows those that are installed.{guess}"
            )
        return found

    def get_source(self, name: str) -> str:
        """The package that brought the operation. Raises as `get`."""
        return self._sources[self.get(name).name]

    def names(self) -> list[str]:
        return sorted({*self._modules, *self._operations})

    def all(self) -> list[Operation]:
        """All operations, sorted by name."""
        return [self.get(name) for name in self.names()]

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._operations

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self.names())

    def _register_entry_point(self, point: EntryPoint) -> None:
        source = _package_of(point)
        try:
            module = point.load()
        except Exception as error:  # noqa: BLE001 - supervisor: another's package must not stop the start
            self._report(f"The package {source} could not be loaded ({type(error).__name__}: {error}); mend or uninstall it.")
            return
        if not isinstance(module, ModuleType):
            self._report(f"The entry point {point.name} of the package {source} names no module; its operations were not taken.")
        elif point.group == MIDDLEWARE_GROUP:
            for middleware in [found for found in vars(module).values() if isinstance(found, Middleware)]:
                self._register_or_report(self.register_middleware, middleware, source)
        else:
            self.register_module(module, source)

    def _register_or_report(self, register: Callable[[OfferedT, str], None], offered: OfferedT, source: str) -> None:
        try:
            register(offered, source)
        except (AlreadyExistsError, DefinitionError) as error:
            self._report(str(error))

    def _report(self, problem: str) -> None:
        self.problems.append(problem)
        logger.warning(problem)


def _package_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _find_operation(module: str, name: str) -> Operation:
    found = [item for item in vars(import_module(module)).values() if isinstance(item, Operation) and item.name == name]
    if not found:
        raise DefinitionError(f"The module {module} says that it holds the operation {name}, and does not.")
    return found[0]


def load_registry(shipped: Mapping[str, str], extra: Iterable[Operation] = ()) -> Registry:
    """The shipped operations (name of the operation, name of its module), those of installed packages, then `extra`.

    Use `flowforge.steps.load_registry`, which knows what is shipped.

    Raises:
        AlreadyExistsError, DefinitionError: an operation of `extra` was refused.
    """
    registry = Registry(shipped)
    registry.register_installed()
    for operation in extra:
        registry.register(operation)
    return registry
