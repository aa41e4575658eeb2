"""Pure operations as functions of expressions: `crypto.hash({…})`."""

from collections.abc import Iterator, Mapping

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.catalog import Catalog
from flowforge.language.expressions import PureFunction, PureFunctions
from flowforge.language.faults import format_path
from flowforge.language.literals import is_below, list_texts
from flowforge.operations.calling import run_pure, validate_parameters
from flowforge.operations.definition import FatalError, Operation


def list_pure_functions(catalog: Catalog) -> PureFunctions:
    """The pure operations of the catalog, by their names."""
    return _PureOperations(catalog)


class _PureOperations(Mapping[str, PureFunction]):
    """Looks an operation up when an expression calls it, because most are never loaded. Its names are those of all operations."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __getitem__(self, name: str) -> PureFunction:
        operation = self._catalog.find(name)
        if operation is None or not operation.is_pure:
            raise KeyError(name)
        return _make_function(operation)

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalog.names())

    def __len__(self) -> int:
        return sum(1 for _ in self._catalog.names())


def _make_function(operation: Operation) -> PureFunction:
    def call(parameters: JsonObject) -> JsonValue:
        if operation.literal_parameters:
            _refuse_code(operation, parameters)
        _, output = run_pure(operation, validate_parameters(operation, parameters))
        return output

    return call


def _refuse_code(operation: Operation, parameters: JsonObject) -> None:
    """Inside an expression nobody can tell code that the author wrote from data that came from outside."""
    for path, _ in list_texts(parameters, ()):
        if is_below(path, operation.literal_parameters):
            message = f"{format_path(path)} is code, which {operation.name} takes in a step only, not in an expression."
            raise FatalError(message, code="expr_not_allowed")
