"""Templates in Jinja's language by MiniJinja, bounded in their work."""

from typing import TYPE_CHECKING, Any, Final, cast

from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError

if TYPE_CHECKING:
    from minijinja import TemplateError

SOURCE_MAX_BYTES: Final = 256 * 2**10
OUTPUT_MAX_CHARACTERS: Final = 8 * 2**20
_FUEL: Final = 5_000_000
"""Instructions of MiniJinja's machine; about a second's work."""
_READING: Final = frozenset(
    {"SyntaxError", "UnknownFilter", "UnknownFunction", "UnknownTest", "UnknownMethod", "TemplateNotFound", "BadInclude"}
)


def render(source: str, data: JsonObject, *, escapes: bool, is_strict: bool) -> str:
    """The text that the template gives with the data.

    Raises:
        FatalError: `template_invalid`, `template_failed` (both with the line in their details), `template_too_long`.
    """
    # The library takes 10 ms to import.
    from minijinja import Environment, TemplateError

    environment = Environment(
        debug=False,
        fuel=_FUEL,
        undefined_behavior="strict" if is_strict else "chainable",
        auto_escape_callback=lambda _name: "html" if escapes else False,
        finalizer=_write_value,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        pycompat=True,
    )
    try:
        text = environment.render_str(source, "template", **data)
    except TemplateError as error:
        raise _explain(error) from error
    if len(text) > OUTPUT_MAX_CHARACTERS:
        raise FatalError(
            f"The template gives more than {OUTPUT_MAX_CHARACTERS} characters; fill in less at once.", code="template_too_long"
        )
    return text


def _write_value(value: Any) -> Any:
    """As the workflow language writes values into a text: null is nothing, booleans, lists and objects are JSON."""
    if value is None:
        return ""
    is_json = isinstance(value, bool | list | dict)
    return encode(cast("JsonValue", value)).decode() if is_json else value


def _explain(error: "TemplateError") -> FatalError:
    line = error.line
    where = "The template" if line is None else f"Line {line} of the template"
    if error.kind == "OutOfFuel":
        return FatalError("The template does too much; fill in less at once.", code="template_too_long")
    code = "template_invalid" if error.kind in _READING else "template_failed"
    said = error.detail or _MEANINGS.get(error.kind) or error.kind
    return FatalError(f"{where}: {said}.", code=code, details={"line": line})


_MEANINGS: Final = {
    "UndefinedError": "a name or field is not in `data`; write `{{ name | default('') }}`, or set `missing: empty`"
}
