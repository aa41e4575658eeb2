"""Expressions: CEL's syntax over plain JSON values, compiled to closures. No I/O, no clock, no access to host objects."""

from flowforge.language.expressions.context import MISSING, Context, Lazy
from flowforge.language.expressions.errors import ExpressionError, ExpressionFault
from flowforge.language.expressions.template import SecretText, Template

__all__ = ["MISSING", "Context", "ExpressionError", "ExpressionFault", "Lazy", "SecretText", "Template"]
