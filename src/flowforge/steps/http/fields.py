"""Names and values in queries, forms and headers."""

from collections.abc import Iterator
from urllib.parse import quote, urlencode

from pydantic_core import PydanticCustomError

from flowforge.kit.egress import find_header_fault

Scalar = bool | int | float | str | None
Fields = dict[str, Scalar | list[Scalar]]


def write_scalar(value: Scalar) -> str:
    """As text in a query, form or header: `true`, `3`, `2.5`, the text itself; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def list_fields(fields: Fields) -> Iterator[tuple[str, str]]:
    """Each name with each of its values; null is left out."""
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield name, write_scalar(item)


def write_form(fields: Fields) -> bytes:
    """As an HTML form is sent (urlencoded)."""
    return urlencode(list(list_fields(fields))).encode()


def add_query(url: str, query: Fields) -> str:
    """The URL with query parameters behind its own."""
    encoded = urlencode(list(list_fields(query)), quote_via=quote)
    if not encoded:
        return url
    base, hash_mark, fragment = url.partition("#")
    separator = "&" if "?" in base else "?"
    return f"{base}{separator}{encoded}{hash_mark}{fragment}"


def refuse_header(name: str, value: str) -> None:
    """For validators: raises PydanticCustomError (`header_invalid`, `header_reserved`) if a caller may not send the header."""
    fault = find_header_fault(name, value)
    if fault is not None:
        raise PydanticCustomError(fault.fault.value, "{reason}", {"reason": fault.message})
