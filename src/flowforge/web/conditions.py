"""Changes that name the state they are of: ETag, If-Match, If-None-Match (RFC 9110, 13.1)."""

from flowforge.web.errors import HeaderInvalidError, PreconditionFailedError, PreconditionRequiredError


def quote_etag(etag: str) -> str:
    """The header's form of a state's mark."""
    return f'"{etag}"'


def check_if_match(given: str | None, present: str | None, *, is_required: bool = True) -> None:
    """`present`: the mark of the state, None where there is nothing yet.

    Raises:
        PreconditionRequiredError: there is none, and it is required.
        PreconditionFailedError: it names another state.
    """
    if given is None:
        if is_required:
            raise PreconditionRequiredError
        return
    if given.strip() == "*":
        if present is None:
            raise PreconditionFailedError(None)
        return
    if unquote_etag(given) != present:
        raise PreconditionFailedError(None if present is None else quote_etag(present))


def unquote_etag(given: str) -> str:
    """Raises HeaderInvalidError unless it is one strong tag: `"…"`."""
    text = given.strip()
    if len(text) < 2 or not text.startswith('"') or not text.endswith('"') or '"' in text[1:-1]:
        raise HeaderInvalidError("If-Match", 'If-Match is one ETag in quotes, like "dr_01…", or *.')
    return text[1:-1]
