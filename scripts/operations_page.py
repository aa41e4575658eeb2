"""docs/operations/ and docs/cli.md: what the code says about itself, put together."""

from typing import Final

from flowforge.entrypoints.cli.reference import render_cli_reference
from flowforge.operations.definition import Operation
from flowforge.operations.reference import render_reference
from flowforge.steps import load_registry
from scripts.markdown import GENERATED, mark_generated, render_table

_INTRODUCTION: Final = f"""\
# Operations

{GENERATED}

What a step can do, beside the flow kinds of [the language](../language.md#kinds-of-steps). The name stands in `uses`, the parameters in
`with`. A *pure* operation is also a function in expressions: `${{{{ crypto.hash({{'data': input.id}}).hash }}}}`. An *effect* is written
into the journal before it begins, and has an `Idempotency-Key`. A *heavy* one works in a process of its own, with a bound on its memory.

A file is a value, `{{"$file": {{"id", "name", "media_type", "size", "sha256"}}}}`; its bytes lie in the object store. Many operations take
either `data`, a value or text, or `file`.

`flowforge operations list` shows what is installed, `operations show NAME` one of them, `operations call NAME` calls it once without a run;
`--file path=FILE` hands a file over, and `--save FILE` takes the one that comes out.
[Your own operations](../own-operations.md) appear in the same places. Every example below is run by a test.

Every operation can also fail with `invalid_parameters` (the details name each field), `timeout` and `output_too_large`; see
[errors](../errors.md).
"""


def list_shipped() -> list[Operation]:
    """The operations that are shipped, whatever else is installed here."""
    registry = load_registry()
    return [operation for operation in registry if registry.get_source(operation.name) == "flowforge"]


def render_index() -> str:
    """The overview, by category."""
    shipped = list_shipped()
    sections: list[str] = []
    for category in sorted({operation.category for operation in shipped}):
        rows = [_summarise(operation) for operation in shipped if operation.category == category]
        sections += [f"## {category}\n", render_table(("operation", "what it does", "nature"), rows), ""]
    return "\n".join([_INTRODUCTION, *sections])


def render_page(operation: Operation) -> str:
    """The reference page of one operation."""
    return f"# {operation.name}\n\n{GENERATED}\n\n{render_reference(operation)}"


def _summarise(operation: Operation) -> tuple[str, str, str]:
    nature = f"{operation.nature.value}, heavy with a file" if operation.file_function is not None else operation.nature.value
    return f"[`{operation.name}`]({operation.name}.md)", operation.title, nature


def render_cli() -> str:
    return mark_generated(render_cli_reference())
