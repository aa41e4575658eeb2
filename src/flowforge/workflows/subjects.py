"""How a path names a workflow, a project, a set or a template: by id, or by name."""

import re
from typing import Final

from flowforge.kit.ids import InvalidIdError, parse_id

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read_subject(text: str, prefix: str) -> str:
    """The id in lower case, or the name. Names have no `_`, so that the two are never mixed up.

    Raises:
        InvalidIdError: it is neither.
    """
    if "_" in text:
        return parse_id(text.lower(), prefix)
    if not is_name(text):
        raise InvalidIdError(text, prefix)
    return text


def is_name(text: str) -> bool:
    """Whether the text has the form of a name. A UUID has not, although a document may be named so: it is taken for a wrong id."""
    return _NAME.fullmatch(text) is not None and _UUID.fullmatch(text) is None
