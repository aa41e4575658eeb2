"""The functions of the language, by family; `FUNCTIONS` is the one table of their names."""

from flowforge.language.expressions.functions.table import FUNCTIONS

__all__ = ["FUNCTIONS"]
