"""Values of headers that have parts: Content-Disposition, Link, WWW-Authenticate."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, unquote_to_bytes, urlsplit

_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_EXTENDED: Final = re.compile(r"([A-Za-z0-9-]+)'[A-Za-z0-9-]*'(.*)", re.DOTALL)
_CHALLENGE: Final = re.compile(r"([A-Za-z][A-Za-z0-9!#$%&*+.^_`|~-]*)(?:[ \t]+(.*))?", re.DOTALL)
_PAIR: Final = re.compile(r"[^\s=\"]+\s*=(?!=*$)", re.DOTALL)


def split_outside_quotes(text: str, separator: str) -> Iterator[str]:
    """The parts between separators that stand neither in a quoted string nor in `<…>`, stripped; empty ones are left out."""
    part: list[str] = []
    closing = ""
    is_escaped = False
    for char in text:
        if char == separator and not closing:
            yield from filter(None, ["".join(part).strip()])
            part = []
            continue
        part.append(char)
        if is_escaped:
            is_escaped = False
        elif closing == '"' and char == "\\":
            is_escaped = True
        elif closing:
            closing = "" if char == closing else closing
        elif char in '"<':
            closing = '"' if char == '"' else ">"
    yield from filter(None, ["".join(part).strip()])


def read_parameters(parts: Iterator[str]) -> dict[str, str]:
    """`name=value` parts by their name in lower case, quotes undone; of a repeated name the first counts."""
    found: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        found.setdefault(name.strip().lower(), unquote_text(value.strip()))
    return found


def unquote_text(value: str) -> str:
    """A quoted string without its quotes and backslashes; anything else as it is (RFC 9110, 5.6.4)."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return _QUOTED_PAIR.sub(r"\1", value[1:-1])
    return value


def find_file_name(disposition: str | None, url: str) -> str:
    """The name that an answer gives its body: `filename*`, else `filename` of Content-Disposition (RFC 6266), else the URL's last part.

    The name is the server's word: it may hold anything, and is to be cleaned before it is used.
    """
    named = read_parameters(split_outside_quotes(disposition or "", ";"))
    extended = _EXTENDED.fullmatch(named.get("filename*", ""))
    if extended is not None and extended[1].lower() in {"utf-8", "iso-8859-1"}:
        return unquote_to_bytes(extended[2]).decode(extended[1].lower(), errors="replace")
    if named.get("filename"):
        return _read_raw(named["filename"])
    return unquote(urlsplit(url).path.rpartition("/")[2]) or "response"


def _read_raw(name: str) -> str:
    # Headers are read as Latin-1; many servers write UTF-8 into them all the same.
    try:
        return name.encode("latin-1").decode()
    except UnicodeError:
        return name


def find_link(header: str | None, relation: str) -> str | None:
    """The target of the first link that has the relation (RFC 8288); links of another context (`anchor`) are left out."""
    for link in split_outside_quotes(header or "", ","):
        target, *rest = split_outside_quotes(link, ";")
        facts = read_parameters(iter(rest))
        is_link = target.startswith("<") and target.endswith(">")
        if is_link and "anchor" not in facts and relation in facts.get("rel", "").lower().split():
            return target[1:-1].strip()
    return None


def list_challenges(header: str | None) -> list[tuple[str, dict[str, str]]]:
    """The challenges of WWW-Authenticate: scheme in lower case and its parameters (RFC 9110, 11.6.1)."""
    found: list[tuple[str, dict[str, str]]] = []
    for part in split_outside_quotes(header or "", ","):
        begins = _CHALLENGE.fullmatch(part)
        if begins is not None and not _PAIR.match(part):
            found.append((begins[1].lower(), {}))
            part = begins[2] or ""
        if found and "=" in part:
            name, _, value = part.partition("=")
            found[-1][1].setdefault(name.strip().lower(), unquote_text(value.strip()))
    return found
