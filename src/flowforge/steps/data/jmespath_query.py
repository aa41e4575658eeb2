"""JMESPath (jmespath.org), with a bound on the work, and equality as in JSON: 1 equals 1.0 and never true."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

import jmespath
from jmespath import exceptions, functions, visitor

from flowforge.kit.border import JsonRefusedError, check_json
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError
from flowforge.steps.data.fields import are_equal
from flowforge.steps.data.query_budget import QueryBudget, refuse_query

if TYPE_CHECKING:
    from jmespath.visitor import _TreeNode  # pyright: ignore[reportPrivateUsage] - the type that the method overridden here names

_LIMITS: Final = Limits()
_MAKING: Final = frozenset({"multi_select_list", "multi_select_dict"})
"""The only places where one value can come to stand several times in another."""


class _Functions(functions.Functions):
    """The published functions; those whose result can be much larger than what they are given are charged before."""

    def __init__(self, budget: QueryBudget) -> None:
        super().__init__()
        self._budget = budget

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        arguments = [*resolved_args]
        if function_name == "join" and len(arguments) == 2:
            glue, parts = arguments
            if isinstance(glue, str) and isinstance(parts, list):
                self._budget.charge_text(len(glue) * len(cast("list[object]", parts)))
        return super().call_function(function_name, arguments)


class _Interpreter(visitor.TreeInterpreter):
    COMPARATOR_FUNC = {  # noqa: RUF012 - the library's own way to say it
        **visitor.TreeInterpreter.COMPARATOR_FUNC,
        "eq": are_equal,
        "ne": lambda left, right: not are_equal(left, right),
    }

    def __init__(self, budget: QueryBudget) -> None:
        super().__init__(visitor.Options(custom_functions=_Functions(budget)))
        self._budget = budget

    def visit(self, node: "_TreeNode", *args: Any, **kwargs: Any) -> Any:
        self._budget.charge(1)
        result = super().visit(node, *args, **kwargs)
        if isinstance(result, str):
            self._budget.charge_text(len(result))
        elif node["type"] in _MAKING:
            self._budget.charge_whole(cast("JsonValue", result))
        elif isinstance(result, list):
            self._budget.charge(len(cast("list[object]", result)))
        return cast("Any", result)


def query_jmespath(query: str, data: JsonValue, budget: QueryBudget) -> JsonValue:
    """What the query makes of the data; null where it finds nothing.

    Raises:
        FatalError: `query_invalid`, with the position; `query_failed`: a function was given what it does not take, or a number came out
            that JSON cannot hold; `query_limit`.
    """
    try:
        parsed = cast("Any", jmespath.compile(query)).parsed
        return check_json(_Interpreter(budget).visit(parsed, data), _LIMITS)
    except exceptions.LexerError as error:
        raise refuse_query("JMESPath", str(error.message), int(error.lexer_position) + 1) from None
    except exceptions.UnknownFunctionError as error:
        raise refuse_query("JMESPath", str(error), max(0, query.find("(")) + 1) from None
    except exceptions.ArityError as error:
        raise refuse_query("JMESPath", str(error), max(0, query.find(str(error.function_name))) + 1) from None
    except exceptions.ParseError as error:
        raise refuse_query("JMESPath", _name_token(error), int(error.lex_position or 0) + 1) from None
    except exceptions.EmptyExpressionError:
        raise refuse_query("JMESPath", "it is empty", 1) from None
    except JsonRefusedError as error:
        raise FatalError(f"What the query gives cannot be held: {error.message}", code="query_failed") from None
    except (exceptions.JMESPathError, ValueError, OverflowError, TypeError, ZeroDivisionError, KeyError) as fault:
        raise FatalError(f"The query cannot be applied to the data: {str(fault)[:300]}.", code="query_failed") from None
    except RecursionError:
        raise refuse_query("JMESPath", "it is nested too deeply", 1) from None


def _name_token(error: exceptions.ParseError) -> str:
    if isinstance(error, exceptions.IncompleteExpressionError):
        return "it ends too early"
    return f"{error.token_value!r} is not expected here"
