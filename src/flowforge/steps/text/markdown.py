"""`text.markdown`."""

from pydantic import Field

from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.text.rendering import OUTPUT_MAX_CHARACTERS


class MarkdownParameters(StrictModel):
    """A text in Markdown."""

    data: str = Field(description="The text, in CommonMark with tables and strikethrough.", max_length=OUTPUT_MAX_CHARACTERS // 8)
    allow_html: bool = Field(
        default=False, description="Whether HTML inside the text is kept, as far as it is harmless, or shown as text."
    )


# Heavy: hostile input can make a Markdown parser's work grow with the square of the text.
@operation(
    "text.markdown",
    title="Markdown to HTML",
    category="text",
    icon="hash",
    nature=Nature.HEAVY,
    errors=(ErrorCode("parser_limit", "The text needs too much memory."),),
    examples=(
        Example(
            "A paragraph", {"data": "Your order **42** is on its way."}, "<p>Your order <strong>42</strong> is on its way.</p>\n"
        ),
    ),
)
def convert_markdown(parameters: MarkdownParameters, context: OperationContext) -> JsonValue:
    """Makes HTML of Markdown. The HTML is sanitised: no scripts, styles, event handlers, and links to http, https and mailto only."""
    del context
    # The libraries take 60 ms to import.
    import nh3
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": parameters.allow_html}).enable(["table", "strikethrough"])
    return nh3.clean(parser.render(parameters.data), url_schemes={"http", "https", "mailto"})
