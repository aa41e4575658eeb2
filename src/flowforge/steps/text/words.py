"""The words of a name, however it is written."""

import re
from typing import Final

_PARTS: Final = re.compile(r"[^\W_]+")
_BORDERS: Final = re.compile(r"(?<=[a-z0-9ß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])")


def list_words(text: str) -> list[str]:
    """`HTTPServer error-code_2` has the words HTTP, Server, error, code, 2."""
    return [word for part in _PARTS.findall(text) for word in _BORDERS.split(part)]
