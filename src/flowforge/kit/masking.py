"""Hides the secrets that this process has used from everything it writes."""

import json
import re
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
SHORTEST_MASKED_CHARACTERS: Final = 4
"""A shorter secret would mask half of every text, and is too short to be one."""
_SHORTEST_BASE64_CHARACTERS: Final = 8
EXCERPT_MAX_BYTES: Final = 1_024


def cut_excerpt(text: str) -> str:
    """The beginning of a text for people, at most 1 KiB of UTF-8. Mask it before: half of a secret would not be found any more."""
    return text.encode(errors="replace")[:EXCERPT_MAX_BYTES].decode(errors="ignore")


class Masker:
    """Knows every secret value that was resolved in this process, by value only. Safe to use from any thread.

    Found are the value, its JSON-escaped and percent-encoded forms and its base64 (also inside a longer base64 text, as in Basic
    authentication). A value of fewer than 4 characters, or one that was cut in two, is not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._forms: tuple[str, ...] = ()

    def add(self, value: str) -> None:
        """Hide this value from now on."""
        if len(value) < SHORTEST_MASKED_CHARACTERS or value in self._values:
            return
        with self._lock:
            self._values.add(value)
            # Longest first: a form may hold another one, and half a secret must not stay.
            self._forms = tuple(sorted({*self._forms, *list_forms(value)}, key=len, reverse=True))

    @property
    def is_empty(self) -> bool:
        return not self._values

    @property
    def values(self) -> list[str]:
        """The secrets themselves, for another process that is to hide them too."""
        return sorted(self._values)

    def mask(self, text: str) -> str:
        """The text with every form of every secret replaced by `***`."""
        # A search for each form beats one regular expression with thousands of alternatives, and most texts hold none.
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text


def list_forms(value: str) -> Iterator[str]:
    """How a value may stand in a text: as it is, escaped for JSON, percent-encoded, in base64."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    for encoded in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), encoded)
    yield from _list_base64_forms(value.encode())


def _list_base64_forms(value: bytes) -> Iterator[str]:
    # A base64 character holds 6 bits. For each of the three places where the value can begin, keep the characters that hold bits of the
    # value alone: they are the same whatever stands around it.
    for bytes_before in range(3):
        first = -(-bytes_before * 8 // 6)
        end = (bytes_before + len(value)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            form = encode(bytes(bytes_before) + value).decode()[first:end]
            if len(form) >= _SHORTEST_BASE64_CHARACTERS:
                yield form
