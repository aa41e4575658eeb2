"""The reference of the functions, as it stands in docs/expressions.md."""

import orjson

from flowforge.language.expressions.functions.table import FUNCTIONS


def render_function_table() -> str:
    """A Markdown table of all functions, in the table's order: signature, summary, example and its value."""
    lines = ["| function | what it gives | example | value |", "|---|---|---|---|"]
    for function in FUNCTIONS.values():
        value = orjson.dumps(function.example.gives).decode()
        lines.append(f"| `{function.signature}` | {function.summary} | `{function.example.expression}` | `{value}` |")
    return "\n".join(lines) + "\n"
