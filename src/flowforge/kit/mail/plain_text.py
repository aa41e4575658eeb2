"""Plain text made of HTML, for readers of mail that show none."""

import re
from html.parser import HTMLParser
from typing import Final

_HIDDEN: Final = frozenset({"script", "style", "head", "title", "template", "noscript", "svg"})
_PARAGRAPHS: Final = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "section", "article", "dl", "form"}
)
_LINES: Final = frozenset({"div", "tr", "li", "dt", "dd", "header", "footer", "main", "address", "figure", "figcaption"})
_CELLS: Final = frozenset({"td", "th"})


class _Reader(HTMLParser):
    """Collects text; white space is folded as a browser does it, lines are ended by the elements that end lines there."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden_depth = 0
        self._pre_depth = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _HIDDEN:
            self._hidden_depth += 1
        elif tag == "br":
            self.pieces.append("\n")
        elif tag == "hr":
            self.pieces.append("\n\n----\n\n")
        elif tag == "li":
            self.pieces.append("\n- ")
        elif tag == "img" and given.get("alt"):
            self.pieces.append(f"[{given['alt']}]")
        elif tag == "a":
            self._links.append(given.get("href") or "")
            self.pieces.append("")
        self._end_line(tag)
        self._pre_depth += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden_depth = max(0, self._hidden_depth - 1)
        elif tag == "a" and self._links:
            link = self._links.pop()
            if link.startswith(("http://", "https://", "mailto:")) and link.removeprefix("mailto:") not in "".join(
                self.pieces[-3:]
            ):
                self.pieces.append(f" ({link.removeprefix('mailto:')})")
        elif tag in _CELLS:
            self.pieces.append("\t")
        self._end_line(tag)
        self._pre_depth = max(0, self._pre_depth - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        is_between_lines = not data.strip() and self._is_at_line_start()
        if self._hidden_depth == 0 and not (is_between_lines and self._pre_depth == 0):
            self.pieces.append(data if self._pre_depth else re.sub(r"\s+", " ", data))

    def _is_at_line_start(self) -> bool:
        return not self.pieces or self.pieces[-1].endswith("\n")

    def _end_line(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self.pieces.append("\n\n")
        elif tag in _LINES and tag != "li" and not self._is_at_line_start():
            self.pieces.append("\n")


def make_plain_text(html: str) -> str:
    """The text of the HTML: paragraphs parted by an empty line, lists with dashes, the address behind each link. Never fails."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [re.sub(r" {2,}", " ", line).strip() for line in "".join(reader.pieces).split("\n")]
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip() + "\n"
