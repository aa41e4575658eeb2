"""docs/operations.md and docs/cli.md: what the code says about itself, put together."""

from typing import Final

from flowforge.entrypoints.cli.reference import render_cli_reference
from flowforge.operations.definition import Operation
from flowforge.operations.reference import render_reference
from flowforge.steps import load_registry
from scripts.markdown import GENERATED, mark_generated, render_table

_INTRODUCTION: Final = f"""\
# Operations

{GENERATED}

What a step can do, beside the flow kinds of [the language](language.md#kinds-of-steps). The name stands in `uses`, the parameters in
`with`. A *pure* operation is also a function in expressions: `${{{{ crypto.hash({{'text': input.id}}).digest }}}}`. An *effect* is written
into the journal before it begins, and has an `Idempotency-Key`.

`flowforge operations list` shows what is installed, `operations show NAME` one of them, `operations call NAME` calls it once without a run.
[Your own operations](own-operations.md) appear in the same places. Every example below is run by a test.

Every operation can also fail with `invalid_parameters` (the details name each field), `timeout` and `output_too_large`; see
[errors](errors.md).
"""


def render_operations() -> str:
    """The operations that are shipped, whatever else is installed here."""
    registry = load_registry()
    shipped = [operation for operation in registry if registry.get_source(operation.name) == "flowforge"]
    overview = render_table(("operation", "what it does", "nature"), (_summarise(operation) for operation in shipped))
    return "\n".join([_INTRODUCTION, overview, "", *(render_reference(operation) for operation in shipped)])


def _summarise(operation: Operation) -> tuple[str, str, str]:
    return f"[`{operation.name}`](#{operation.name.replace('.', '')})", operation.title, operation.nature.value


def render_cli() -> str:
    return mark_generated(render_cli_reference())
