"""Expressions: CEL's syntax over plain JSON values, compiled to closures. No I/O, no clock, no access to host objects."""

from flowforge.language.expressions.catalog import Function
from flowforge.language.expressions.compiler import Compiled, check_expression, compile_expression
from flowforge.language.expressions.context import MISSING, Context, Lazy, Missing
from flowforge.language.expressions.errors import ExpressionError, ExpressionFault
from flowforge.language.expressions.functions import FUNCTIONS
from flowforge.language.expressions.limits import DEFAULT_LIMITS, Limits
from flowforge.language.expressions.scanning import Span, find_expressions, has_expression
from flowforge.language.expressions.scope import PureFunction, PureFunctions, Reference, Scope
from flowforge.language.expressions.template import (
    PlacedExpression,
    SecretText,
    Template,
    TemplateCheck,
    TemplateFault,
    TemplateFormat,
    compile_template,
    constant_template,
)
from flowforge.language.expressions.values import Kind

__all__ = [
    "DEFAULT_LIMITS",
    "FUNCTIONS",
    "MISSING",
    "Compiled",
    "Context",
    "ExpressionError",
    "ExpressionFault",
    "Function",
    "Kind",
    "Lazy",
    "Limits",
    "Missing",
    "PlacedExpression",
    "PureFunction",
    "PureFunctions",
    "Reference",
    "Scope",
    "SecretText",
    "Span",
    "Template",
    "TemplateCheck",
    "TemplateFault",
    "TemplateFormat",
    "check_expression",
    "compile_expression",
    "compile_template",
    "constant_template",
    "find_expressions",
    "has_expression",
]
