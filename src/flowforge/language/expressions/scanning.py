"""Finding `${{ … }}` in text."""

import re
from dataclasses import dataclass
from typing import Final

from flowforge.language.expressions.errors import ExpressionFault

OPENING: Final = "${{"
CLOSING: Final = "}}"
# What the scan must step over in one piece (strings, comments, backticks) or look at (braces); other text is skipped.
_PIECE: Final = re.compile(
    r"""
      [rR](?:\"{3}(?:.|\n)*?\"{3}|'{3}(?:.|\n)*?'{3}|"[^"\n\r]*"|'[^'\n\r]*')
    | \"{3}(?:[^\\]|\\.)*?\"{3} | '{3}(?:[^\\]|\\.)*?'{3}
    | "(?:[^"\\\n\r]|\\.)*" | '(?:[^'\\\n\r]|\\.)*'
    | `[^`\n]*`
    | //(?:(?!}})[^\n])*
    | (?P<open>\{) | (?P<end>}}) | (?P<close>})
    | [A-Za-z0-9_]+ | [^{}"'`/A-Za-z0-9_]+ | .
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Span:
    """One expression in a text: `text[start:end]` is all of it, `source` what stands inside, from `source_start` on."""

    start: int
    end: int
    source: str
    source_start: int


def has_expression(text: str) -> bool:
    """Whether the text holds `${{`."""
    return OPENING in text


def find_expressions(text: str) -> tuple[Span, ...]:
    """The expressions of a text, in order. One ends at the first `}}` outside strings and braces; a stray `}}` is text.

    Raises:
        ExpressionFault: `expr_syntax`, at the `${{` that is not closed.
    """
    spans: list[Span] = []
    start = text.find(OPENING)
    while start >= 0:
        source_start = start + len(OPENING)
        source_end = _find_end(text, source_start)
        if source_end is None:
            raise ExpressionFault("expr_syntax", "This ${{ is not closed by }}.", start)
        end = source_end + len(CLOSING)
        spans.append(Span(start, end, text[source_start:source_end], source_start))
        start = text.find(OPENING, end)
    return tuple(spans)


def _find_end(text: str, position: int) -> int | None:
    depth = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        assert match is not None  # the last alternative takes any character
        piece = match.lastgroup
        if piece == "end" and depth == 0:
            return match.start()
        # With braces open, }} closes one of them; the other } is looked at again.
        step = match.start() + 1 if piece == "end" else match.end()
        depth += 1 if piece == "open" else -1 if piece in {"end", "close"} else 0
        depth = max(depth, 0)
        position = step
    return None
