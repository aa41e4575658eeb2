"""Regular expressions: always an engine that is linear in the text (Rust's `regex`, inside pydantic-core), never Python's `re`."""

from functools import lru_cache
from typing import Final

from pydantic_core import SchemaError, SchemaValidator, core_schema

from flowforge.language.expressions.errors import problem

PATTERN_TICKS: Final = 1_000
"""The cost of compiling a computed pattern: up to 50 ms, so that one expression compiles at most a hundred of them."""


@lru_cache(maxsize=128)
def compile_pattern(pattern: str) -> SchemaValidator:
    """The compiled pattern; `isinstance_python(text)` says whether it matches anywhere in the text.

    Raises:
        ExpressionError: `regex_invalid`.
    """
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        reason = str(error).strip().rsplit("\n", 1)[-1].strip().removeprefix("error: ")
        raise problem("regex_invalid", f"The regular expression is not valid: {reason}.") from None
