"""Evaluates JSONata (docs.jsonata.org) with jsonata-python. Numbers stay as exact as Python's."""

import json
import sys
from typing import Any, Final

import jsonata

from flowforge.kit.sandbox.child.channel import Channel, Fault, Task

_RECURSION_MAX: Final = 2_000
_WARM_UP: Final = (
    "$sum(a.b[c > 1].d) & $string(1.5) & $uppercase('a') & $now() & $fromMillis(0) & $toMillis('2020-01-01T00:00:00Z')",
    "$match('ab', /a(b)/) ~> $count()",
    "$formatNumber(12345.6, '#,##0.00') & $formatInteger(5, 'w') & $base64encode('a') & $base64decode('YQ==')",
    "$encodeUrlComponent('a b') & $decodeUrlComponent('a%20b') & $random() & $eval('1') & $replace('a', /a/, 'b')",
    "$sort([2, 1]) ~> $map(function($x) { $x * 2 }) ~> $reduce(function($a, $b) { $a + $b })",
    "$fromMillis(0, '[Y]-[M01]-[D01] [H01]:[m]') & $parseInteger('12', '0') & $split('a b', ' ') & $round(1.5)",
)
"""Loads what the library loads late: afterwards no file can be opened."""


class Jsonata:
    """Made once for a process, before it is locked down."""

    def __init__(self) -> None:
        sys.setrecursionlimit(_RECURSION_MAX)
        for query in _WARM_UP:
            self._evaluate(query, {"a": [{"b": [{"c": 2, "d": 1}]}]})

    def _evaluate(self, query: str, data: Any) -> Any:
        return jsonata.Jsonata(query).evaluate(data)

    def prepare(self) -> None:
        """Nothing to do: nothing is kept of a query."""

    def run(self, task: Task, channel: Channel) -> str:
        """The last message: the result without its closing brace, or a fault."""
        del channel
        data = json.loads(task.input_text)
        try:
            value = self._evaluate(task.source, data)
        except jsonata.JException as fault:
            raise self._explain(fault, task.source) from None
        except RecursionError:
            raise Fault("script_stack", "The query calls itself too deeply.") from None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as fault:
            # The library lets Python's own errors through where a query is at fault.
            told = fault.args[-1] if fault.args else type(fault).__name__
            raise Fault("jsonata_invalid", f"The query failed: {told}"[:1000]) from None
        return f'{{"result":{self._encode(value, task)}'

    def _explain(self, fault: Any, query: str) -> Fault:
        position = fault.location if isinstance(fault.location, int) and fault.location > 0 else None
        if position is None:
            return Fault("jsonata_invalid", f"{fault} ({fault.error})")
        before = query[:position]
        line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1)
        return Fault("jsonata_invalid", f"{fault} ({fault.error})", line=line, column=column)

    def _encode(self, value: Any, task: Task) -> str:
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise Fault(
                "script_result", "The query's result is no JSON: it holds a function, or a number without a value."
            ) from None
        except RecursionError:
            raise Fault("json_depth", "The query's result is nested too deeply.") from None
        if len(text) > task.output_max_bytes:
            raise Fault("step_out_max", "The query's result is too large.")
        return text

    def is_spent(self, task: Task) -> bool:
        del task
        return False
