"""Expressions that are evaluated once for each item of a list: the language of `${{ }}`, over `item`, `index` and `values`."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final

import pydantic
from pydantic import AfterValidator, Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import IS_LITERAL, ErrorCode, FatalError

if TYPE_CHECKING:
    from flowforge.language.expressions import Compiled

ROOTS: Final = frozenset({"item", "index", "values"})
WORK_MAX_TICKS: Final = 5_000_000
"""Work for all items of a list that is given as a value: some seconds. With a file the step's timeout alone bounds it."""
_NOT_REPEATABLE: Final = frozenset({"now", "uuid"})

EXPRESSION_ERROR: Final = ErrorCode(
    "expression_failed", "An expression fails on an item; the message says why, the details have the item's index."
)

ItemFunction = Callable[[JsonValue, int], JsonValue]
"""Gives the expression's value for an item and its index, counted from 0."""


def _check_source(source: str) -> str:
    compile_source(source)
    return source


ItemExpression = Annotated[str, IS_LITERAL, AfterValidator(_check_source), Field(min_length=1, max_length=4096)]
"""The text of an expression without `${{ }}`. The author writes it, data never does."""

GivenValues = Annotated[
    dict[str, pydantic.JsonValue],
    Field(
        description="Values from the workflow that the expressions read as `values.<name>`: they may not hold `${{ }}` themselves.",
    ),
]


@lru_cache(maxsize=256)
def compile_source(source: str) -> "Compiled":
    """The compiled expression.

    Raises:
        ValueError: it is wrong; the message says what and at which character.
    """
    # Only steps that have an expression pay for the compiler.
    from flowforge.language.expressions import ExpressionFault, Scope, compile_expression

    if "${{" in source:
        raise ValueError("write the expression without ${{ }}: it is evaluated for each item, not once")
    try:
        compiled = compile_expression(source, Scope(ROOTS))
    except ExpressionFault as fault:
        raise ValueError(f"{fault.message.rstrip('.')} (character {fault.offset + 1} of the expression)") from None
    refused = sorted(_NOT_REPEATABLE & set(compiled.functions))
    if refused:
        raise ValueError(f"{refused[0]}() differs at each call and cannot stand here; hand it over in `values`")
    return compiled


class ItemEvaluator:
    """Evaluates expressions for one item after the other, within one budget of work."""

    def __init__(self, values: JsonObject, *, is_bounded: bool) -> None:
        # Only steps that have an expression pay for the compiler.
        from flowforge.language.expressions import Context

        self._roots: JsonObject = {"item": None, "index": 0, "values": values}
        self._context = Context(self._roots)
        self._ticks_left = WORK_MAX_TICKS if is_bounded else None

    def prepare(self, source: str, field: str = "expression") -> ItemFunction:
        """The expression as a function. `field` names the parameter in errors.

        The function raises:
            FatalError: `expression_failed`, with the item's index; `expression_budget` when all items together are too much work.
        """
        # Only steps that have an expression pay for the compiler.
        from flowforge.language.expressions import ExpressionError

        evaluate = compile_source(source).evaluate

        def run(item: JsonValue, index: int) -> JsonValue:
            self._roots["item"] = item
            self._roots["index"] = index
            try:
                value = evaluate(self._context)
            except ExpressionError as error:
                raise FatalError(
                    f"{field} fails on item[{index}]: {error.message}",
                    code="expression_failed",
                    details={"index": index, "field": field, "code": error.code, "path": error.path},
                ) from None
            self._charge(index, field)
            return value

        return run

    def _charge(self, index: int, field: str) -> None:
        if self._ticks_left is None:
            return
        self._ticks_left -= self._context.ticks
        if self._ticks_left < 0:
            raise FatalError(
                f"{field}: the items up to item[{index}] are more than {WORK_MAX_TICKS} ticks of work; give the list as a `file`, "
                "which is worked through outside of the engine.",
                code="expression_budget",
                details={"index": index},
            )


BUDGET_ERROR: Final = ErrorCode(
    "expression_budget", "An expression over all items of a value is too much work; give the list as a file."
)
