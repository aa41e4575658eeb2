"""docs/errors.md."""

import inspect
from collections.abc import Iterator
from typing import Final

from flowforge.entrypoints.cli.failures import exit_code_of
from flowforge.kit import errors
from flowforge.kit.errors import FlowForgeError
from flowforge.language.codes import CODES
from flowforge.operations.definition import Operation
from flowforge.steps import load_registry
from scripts.markdown import GENERATED, render_table

_INTRODUCTION: Final = f"""\
# Errors and their codes

{GENERATED}

A code does not change; a message may. There are three kinds:

- **Faults of a document**, told by `flowforge validate`, `run`, `workflows push` and `publish`, all at once, each with line and column.
- **Errors of a step or a run**, values that a workflow can read: `steps.<id>.error` and, in `on_failure` and `finally`, `run.error` have
  `code`, `message` and, where there are any, `details` and `attempt`; `run.error` names the `step`.
- **Errors of a command**: one sentence on stderr and an exit code; with `--json` the object
  `{{"error": {{"code", "message", "details": [{{"field", "message", "code", "line"?, "column"?}}], "requestId"}}}}`.
"""

STEP_ERRORS: Final = {
    "timeout": ("An attempt, or a step that waits or holds others, took longer than its `timeout`.", True),
    "run_timeout": ("The run passed the document's `timeout`; it ends as `timed_out`.", False),
    "outcome_unknown": ("The worker died in the middle, and `on_interrupt` says `fail`.", False),
    "type_mismatch": ("A value has a type that cannot be used there; there is no truthiness.", False),
    "missing_field": ("An expression read a field that is not there, or a field of null; the message names the path.", False),
    "index": ("An expression read outside a list.", False),
    "number_range": ("A number does not fit: a whole number beyond 64 bits, or an infinite one.", False),
    "division_by_zero": ("An expression divided by 0.", False),
    "date_range": ("An expression made a time that no calendar has, or a duration that is too long.", False),
    "timezone": ("An expression named a time zone that is not known.", False),
    "length": ("A text by which something is found, like the key of a signal, is too long.", False),
    "regex_invalid": ("A regular expression that was computed cannot be used.", False),
    "expression_budget": ("An expression did too much, or made too large a value.", False),
    "secret_missing": ("A secret that the step names is not set.", False),
    "secret_unreadable": ("No key of this installation opens the secret.", False),
    "secret_host_mismatch": ("The secret is bound to other hosts than the one that the step calls.", False),
    "invalid_parameters": ("The evaluated `with` does not fit the operation; the details name each field.", False),
    "result_invalid": ("The operation gave what its own model of the result does not allow.", False),
    "input_too_large": ("The parameters of an effect are larger than LIMIT_STEP_IN_MAX.", False),
    "output_too_large": ("The output is larger than LIMIT_STEP_OUT_MAX.", False),
    "operation_failed": ("The operation ended with an error that it did not announce.", True),
    "middleware_failed": ("A middleware around the operation failed; the message names it.", True),
    "storage_unavailable": ("The object store cannot be used now. Where nothing was done yet, the attempt is not counted.", True),
    "engine_fault": ("A mistake of ours in carrying out the attempt; `logs/flowforge.log` says how.", True),
    "service_missing": ("The process runs without a service that the operation needs.", False),
    "repeat_limit": ("A `flow.repeat` reached its `limit`.", False),
    "item_errors": ("Items of a `flow.foreach` with `on_item_error: continue` failed; the details list them.", False),
    "invalid_input": ("A `flow.call` gives the other workflow an input that does not fit its schema.", False),
    "not_installed": ("An operation or a workflow that is needed is not here.", False),
    "child_cancelled": ("The called run was cancelled.", False),
    "call_depth": ("Workflows call each other more than 20 deep.", False),
    "history_limit": ("The run has more events than HISTORY_MAX, or its journal is too large.", False),
    "poison": ("The run ended its worker again and again, and a person discarded it.", False),
    "cancelled": ("A person cancelled the run.", False),
}
"""Codes that the engine gives, with their meaning, and whether another attempt is made where `retry` says nothing of codes."""


def render_errors() -> str:
    """The page, from the tables of codes and the tree of errors."""
    return "\n".join(
        [
            _INTRODUCTION,
            "## Faults of a document\n",
            render_table(("code", "what is wrong", "what to do"), _list_faults()),
            "\nA fault that is marked *warning* does not stop a run.\n",
            "## Errors of a step or a run\n",
            "Those of the engine; an operation's own are listed [with it](operations/README.md), and in short below.\n",
            render_table(("code", "meaning", "retried"), _list_step_errors()),
            "\n### Of operations\n",
            render_table(("code", "operations"), _list_operation_errors()),
            "\n## Errors of a command\n",
            render_table(("code", "meaning", "exit code"), _list_tree()),
            "",
        ]
    )


def _list_faults() -> Iterator[tuple[str, str, str]]:
    for entry in CODES.values():
        mark = " *(warning)*" if entry.is_warning else ""
        yield f"`{entry.code}`", entry.meaning + mark, entry.remedy


def _list_step_errors() -> Iterator[tuple[str, str, str]]:
    for code, (meaning, is_retried) in STEP_ERRORS.items():
        yield f"`{code}`", meaning, "yes" if is_retried else "no"


def _list_operation_errors() -> Iterator[tuple[str, str]]:
    registry = load_registry()
    holders: dict[str, list[Operation]] = {}
    for operation in registry:
        if registry.get_source(operation.name) == "flowforge":
            for error in operation.errors:
                holders.setdefault(error.code, []).append(operation)
    for code in sorted(holders):
        yield f"`{code}`", ", ".join(f"`{operation.name}`" for operation in holders[code])


def _list_tree() -> Iterator[tuple[str, str, str]]:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, FlowForgeError) and kind is not FlowForgeError:
            yield f"`{kind.code}`", inspect.getdoc(kind) or "", str(exit_code_of(kind("")).value)
