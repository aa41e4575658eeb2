"""Texts as they stand in XML (1.0, 2.4 and 3.3.3): what would be markup, or change on the way back, is a reference."""


def escape_text(text: str) -> str:
    """For the text of an element."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def quote_attribute(text: str) -> str:
    """For the value of an attribute, in double quotes."""
    escaped = escape_text(text).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")
    return f'"{escaped}"'
