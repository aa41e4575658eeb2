"""From what Pydantic finds wrong with a request to the details of our error form."""

from collections.abc import Sequence
from typing import Any, Final

from flowforge.kit.errors import Detail

_CODES: Final = {
    "extra_forbidden": "field_unknown",
    "missing": "field_missing",
    "model_type": "type",
    "model_attributes_type": "type",
    "dict_type": "type",
    "string_too_short": "length",
    "string_too_long": "length",
    "too_short": "items",
    "too_long": "items",
    "string_pattern_mismatch": "format",
    "literal_error": "choice",
    "enum": "choice",
    "greater_than": "range",
    "greater_than_equal": "range",
    "less_than": "range",
    "less_than_equal": "range",
    "datetime_from_date_parsing": "time",
    "timezone_aware": "time",
}
_SENTENCES: Final = {"extra_forbidden": "There is no such field here.", "missing": "This is required."}
_OURS: Final = frozenset({"body", "query", "path", "header", "cookie"})


def read_faults(errors: Sequence[Any]) -> list[Detail]:
    """A detail for each fault. `field`: a dotted path in the body, or the name of a parameter or header."""
    return [_read_fault(error) for error in errors]


def _read_fault(error: Any) -> Detail:
    place, *path = error["loc"]
    kind = str(error["type"])
    field = _join(path) if place in _OURS else _join([place, *path])
    if kind == "missing" and place == "body" and not path:
        return Detail("", "A body is required.", "body_missing")
    code = _CODES.get(kind) or ("type" if kind.endswith("_type") else kind)
    if place in {"query", "path"} and path and code != "field_missing":
        code = str(path[0]) if path[0] in {"limit", "cursor", "sort"} else code
    return Detail(field, _SENTENCES.get(kind) or _end(str(error["msg"])), code)


def _join(path: Sequence[Any]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _end(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!")) else f"{sentence}."
