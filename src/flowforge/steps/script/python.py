"""`script.python`."""

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.script.running import SCRIPT_ERRORS, ScriptParameters, run_script


class PythonParameters(ScriptParameters):
    """Python code: the value of the last expression is the result."""


@operation(
    "script.python",
    title="Python",
    category="script",
    icon="code",
    nature=Nature.EFFECT,
    errors=SCRIPT_ERRORS,
    examples=(
        Example(
            "Sum up the lines of an order",
            {
                "source": "sum(line['price'] * line['quantity'] for line in input['lines'])",
                "input": {"lines": [{"price": 10, "quantity": 2}, {"price": 5, "quantity": 1}]},
            },
            25,
        ),
        Example(
            "Call a server, and log",
            {
                "source": (
                    "answer = http.get(f\"https://api.example.com/orders/{input['id']}\")\n"
                    "log.info('Order read', status=answer['status'])\n"
                    "answer['body']['status']"
                ),
                "input": {"id": 42},
            },
            "shipped",
        ),
    ),
)
async def python(parameters: PythonParameters, context: OperationContext) -> JsonValue:
    """Runs Python in a process that reaches no file, no network and no other script; needs `pip install 'flowforge[python-scripts]'`.

    The value of the last expression is the result. `input` is the value of that parameter, `context` has run_id, step, attempt and
    idempotency_key. `http.get`, `post`, `put`, `patch`, `delete` (URL, and options by name) and `http.request` (method, URL) call servers
    as the step http.request does, with its parameters as options, and give status, headers, body and url; every status is an answer, and
    what fails otherwise is an OSError whose text begins with the error's code. At most 100 calls. `log.info` and the like (message, fields
    by name) and `print` write to the step's log, 64 KiB in all.

    The interpreter is Monty: json, re, datetime, math, decimal, random, hashlib, collections, itertools and dataclasses are there; other
    modules, `yield` and inheritance of classes are not. In the result a tuple is a list and a datetime a text (RFC 3339); sets, bytes and
    objects are a mistake. Times are UTC.
    """
    return await run_script("python", parameters, context)
