"""Prints the microseconds of one evaluation of common expressions, and of compiling them.

Run it as `python -m bench.expressions`.
"""

from time import perf_counter
from typing import Final

from flowforge.kit.values import JsonValue
from flowforge.language.expressions import Context, Lazy, Missing, Scope, compile_expression
from flowforge.language.expressions.context import MISSING

EXPRESSIONS: Final = (
    "input.amount > 1000.0",
    "input.order.customer.address.city",
    "input.country == 'DE' && input.amount >= 100",
    "steps.fetch.output.body.items",
    "has(input.note)",
    "input.?note.orValue('none')",
    "input.amount * 1.19 + 5",
    "'Order ' + input.id",
    "input.country in ['DE', 'AT', 'CH']",
    "{'id': input.id, 'amount': input.amount}",
    "input.id.matches('^[A-Z]-[0-9]+$')",
    "steps.fetch.output.body.items.filter(i, i.amount > 500)",
    "steps.fetch.output.body.items.map(i, i.sku)",
    "steps.fetch.output.body.items.exists(i, i.sku == 'none')",
)
ITEMS: Final = 1_000
SECONDS_PER_EXPRESSION: Final = 0.2


class Step(Lazy):
    def __init__(self, output: JsonValue) -> None:
        self.output = output

    def find(self, name: str) -> "JsonValue | Lazy | Missing":
        return self.output if name == "output" else MISSING

    def plain(self) -> JsonValue:
        return {"output": self.output}


class Steps(Lazy):
    def __init__(self, steps: dict[str, Step]) -> None:
        self.steps = steps

    def find(self, name: str) -> "JsonValue | Lazy | Missing":
        return self.steps.get(name, MISSING)

    def plain(self) -> JsonValue:
        return {name: step.plain() for name, step in self.steps.items()}


def measure_us(expression: str, context: Context) -> float:
    """The microseconds of one evaluation: the best of five rounds."""
    evaluate = compile_expression(expression, Scope(frozenset({"input", "steps"}))).evaluate
    start = perf_counter()
    evaluate(context)
    rounds = max(1, int(SECONDS_PER_EXPRESSION / 5 / (perf_counter() - start)))
    best = float("inf")
    for _ in range(5):
        start = perf_counter()
        for _ in range(rounds):
            evaluate(context)
        best = min(best, (perf_counter() - start) / rounds)
    return best * 1e6


def main() -> None:
    items: list[JsonValue] = [{"sku": f"A-{number}", "amount": number} for number in range(ITEMS)]
    order: JsonValue = {"customer": {"address": {"city": "Köln"}}}
    given: JsonValue = {"amount": 1_500, "id": "A-17", "country": "DE", "order": order}
    context = Context({"input": given, "steps": Steps({"fetch": Step({"body": {"items": items}})})})
    for expression in EXPRESSIONS:
        print(f"{measure_us(expression, context):10.2f} us  {expression}")
    start = perf_counter()
    for expression in EXPRESSIONS:
        compile_expression(expression, Scope(frozenset({"input", "steps"})))
    print(f"{(perf_counter() - start) / len(EXPRESSIONS) * 1e6:10.2f} us  to compile one of these")


if __name__ == "__main__":
    main()
