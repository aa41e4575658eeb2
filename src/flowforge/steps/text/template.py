"""`text.template`."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import (
    IS_LITERAL,
    ErrorCode,
    Example,
    FatalError,
    FileInput,
    Nature,
    OperationContext,
    StrictModel,
    operation,
    require_one,
)
from flowforge.steps.stored import FILE_TOO_LARGE, STORED_ERRORS, read_stored
from flowforge.steps.text.rendering import SOURCE_MAX_BYTES, render


class TemplateParameters(StrictModel):
    """A template, given as text or as a file, and what it is filled with."""

    template: Annotated[str | None, IS_LITERAL] = Field(
        default=None,
        max_length=SOURCE_MAX_BYTES,
        description="The template, in Jinja's language: `{{ order.id }}`, `{% for … %}`.",
    )
    file: FileInput | None = Field(default=None, description="A file that holds the template, in UTF-8.")
    data: dict[str, pydantic.JsonValue] = Field(
        default_factory=dict[str, pydantic.JsonValue], description="The values, by the names that the template uses."
    )
    escape: Literal["none", "html"] = Field(default="none", description="Whether inserted values are escaped for HTML.")
    missing: Literal["fail", "empty"] = Field(default="fail", description="What a name or field that is not there becomes.")

    @model_validator(mode="after")
    def _check_one_template(self) -> "TemplateParameters":
        require_one(self, "template", "file")
        return self


# Heavy although it is quick: a template can double a text at each line, and only a process has a bound on its memory.
@operation(
    "text.template",
    title="Fill in a template",
    category="text",
    icon="file-text",
    nature=Nature.HEAVY,
    errors=(
        ErrorCode("template_invalid", "The template cannot be read; details have the line."),
        ErrorCode(
            "template_failed",
            "The template cannot be filled in, for want of a field or of a fitting value; details have the line.",
        ),
        ErrorCode("template_too_long", "The template does too much, or what it gives is too large."),
        ErrorCode("parser_limit", "The template needs too much memory."),
        *STORED_ERRORS,
        FILE_TOO_LARGE,
    ),
    examples=(
        Example(
            "A mail's text",
            {
                "template": "Dear {{ name }},\n{% for line in lines %}- {{ line.pieces }} x {{ line.item }}\n{% endfor %}",
                "data": {"name": "Ada", "lines": [{"pieces": 2, "item": "bolt"}, {"pieces": 1, "item": "nut"}]},
            },
            "Dear Ada,\n- 2 x bolt\n- 1 x nut\n",
        ),
        Example(
            "HTML, with values escaped",
            {"template": "<p>{{ remark }}</p>", "data": {"remark": "a < b"}, "escape": "html"},
            "<p>a &lt; b</p>",
        ),
    ),
)
def fill_template(parameters: TemplateParameters, context: OperationContext) -> JsonValue:
    """Fills values into a text template in Jinja's language (MiniJinja's dialect) and gives the text.

    It sees only `data`: nothing can be included, read or called. Null inserts nothing, lists and objects are inserted as JSON. A value is
    never read as a template.
    """
    source = parameters.template
    if source is None:
        assert parameters.file is not None
        data = read_stored(context, parameters.file, max_bytes=SOURCE_MAX_BYTES)
        try:
            source = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            message = f"file: byte {error.start} is no UTF-8; save the template in UTF-8."
            raise FatalError(message, code="template_invalid") from error
    return render(source, parameters.data, escapes=parameters.escape == "html", is_strict=parameters.missing == "fail")
