"""Writes the expected results of the shared fixtures anew: `python -m tests.language.regenerate_graphs`. Review what changes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.language_catalog import catalog, compile_text

from flowforge.kit.values import JsonObject
from flowforge.language.compiler import Compilation
from flowforge.language.describing import describe_graph
from flowforge.language.faults import Fault

FOLDER: Final = Path(__file__).parent.parent / "fixtures" / "graphs"


def list_documents() -> list[Path]:
    return sorted(FOLDER.glob("*.yaml"))


def expected_path(document: Path) -> Path:
    return document.with_suffix(".expected.json")


def describe(compilation: Compilation) -> JsonObject:
    """What a fixture pins: the graph, or the errors; and the warnings."""
    described: JsonObject = {}
    if compilation.workflow is not None:
        described["graph"] = describe_graph(compilation.workflow)
    else:
        described["errors"] = list(_describe_faults(compilation.errors))
    if compilation.warnings:
        described["warnings"] = list(_describe_faults(compilation.warnings))
    return described


def describe_catalog() -> JsonObject:
    """The operations that the fixtures use, for a twin that has no registry."""
    operations: JsonObject = {}
    for operation in catalog():
        operations[operation.name] = {
            "ports": list(operation.ports),
            "pure": operation.is_pure,
            "parameters": operation.parameters_schema,
            "result": operation.result_schema,
            "secret_parameters": [*sorted(operation.secret_parameters)],
            "url_parameters": [*sorted(operation.url_parameters)],
        }
    return operations


def _describe_faults(faults: tuple[Fault, ...]) -> Iterator[JsonObject]:
    for fault in faults:
        described: JsonObject = {"code": fault.code, "field": fault.field, "line": fault.line, "column": fault.column}
        if fault.suggestion is not None:
            described["suggestion"] = fault.suggestion
        yield described


def render(value: JsonObject) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for document in list_documents():
        expected_path(document).write_text(render(describe(compile_text(document.read_bytes()))))
    (FOLDER / "catalog.json").write_text(render(describe_catalog()))


if __name__ == "__main__":
    main()
