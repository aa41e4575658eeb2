"""The one table of the language's functions, from which calls, checks and the reference come."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flowforge.language.expressions.catalog import Function
from flowforge.language.expressions.functions.conversions import CONVERSION_FUNCTIONS
from flowforge.language.expressions.functions.dates import DATE_FUNCTIONS
from flowforge.language.expressions.functions.lists import LIST_FUNCTIONS
from flowforge.language.expressions.functions.macros import MACROS
from flowforge.language.expressions.functions.mathematics import MATH_FUNCTIONS
from flowforge.language.expressions.functions.optionals import OPTIONAL_FUNCTIONS
from flowforge.language.expressions.functions.texts import TEXT_FUNCTIONS

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        function.name: function
        for family in (
            MACROS,
            CONVERSION_FUNCTIONS,
            TEXT_FUNCTIONS,
            LIST_FUNCTIONS,
            MATH_FUNCTIONS,
            OPTIONAL_FUNCTIONS,
            DATE_FUNCTIONS,
        )
        for function in family
    }
)
"""By name; a name is never both a member and another global function."""
