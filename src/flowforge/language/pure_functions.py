"""Pure operations as functions of expressions: `crypto.hash({…})`."""

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.catalog import Catalog
from flowforge.language.expressions import PureFunction, PureFunctions
from flowforge.operations.calling import run_pure, validate_parameters
from flowforge.operations.definition import Operation


def list_pure_functions(catalog: Catalog) -> PureFunctions:
    """Every pure operation of the catalog, by its name."""
    found = [operation for name in catalog.names() if (operation := catalog.find(name)) is not None]
    return {operation.name: _make_function(operation) for operation in found if operation.is_pure}


def _make_function(operation: Operation) -> PureFunction:
    def call(parameters: JsonObject) -> JsonValue:
        _, output = run_pure(operation, validate_parameters(operation, parameters))
        return output

    return call
