"""`script.javascript`."""

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.script.running import SCRIPT_ERRORS, ScriptParameters, run_script


class JavaScriptParameters(ScriptParameters):
    """The body of an async function in JavaScript: `return` gives the result, `await` works."""


@operation(
    "script.javascript",
    title="JavaScript",
    category="script",
    icon="braces",
    nature=Nature.EFFECT,
    errors=SCRIPT_ERRORS,
    examples=(
        Example(
            "Sum up the lines of an order",
            {
                "source": "return input.lines.reduce((sum, line) => sum + line.price * line.quantity, 0)",
                "input": {"lines": [{"price": 10, "quantity": 2}, {"price": 5, "quantity": 1}]},
            },
            25,
        ),
        Example(
            "Call a server, and log",
            {
                "source": (
                    "const answer = await http.get(`https://api.example.com/orders/${input.id}`);\n"
                    'log.info("Order read", { status: answer.status });\n'
                    "return answer.body.status;"
                ),
                "input": {"id": 42},
            },
            "shipped",
        ),
    ),
)
async def javascript(parameters: JavaScriptParameters, context: OperationContext) -> JsonValue:
    """Runs JavaScript (ES2023, strict mode) in a process that reaches no file, no network and no other script.

    The source is the body of an async function: `return` gives the result. `input` is the value of that parameter, `context` has run_id,
    step, attempt and idempotency_key. `http.get`, `post`, `put`, `patch`, `delete` (URL, options) and `http.request` (method, URL, options)
    call servers as the step http.request does, with its parameters as options, and give status, headers, body and url; every status is an
    answer, and what fails otherwise is an error with a `code`. At most 100 calls; those that are not awaited end before the step does.
    `log.info` and the like (message, fields) and `console.log` write to the step's log, 64 KiB in all.

    Numbers are doubles: whole numbers of the input beyond 2^53 come as text. In the result undefined is null (left out of an object), a
    Date a text (RFC 3339), what is no JSON a mistake; `toJSON` is not called. Times are UTC. There are no modules and no timers.
    """
    return await run_script("javascript", parameters, context)
