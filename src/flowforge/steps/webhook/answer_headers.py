"""Which headers a workflow may set in its answer to a webhook."""

from typing import Final

ALLOWED: Final = frozenset(
    {"content-type", "content-language", "cache-control", "etag", "last-modified", "retry-after", "link", "warning"}
)
"""Besides names that begin with `x-`, but for those below."""
_FORBIDDEN: Final = (
    "x-frame-",
    "x-content-",
    "x-xss-",
    "x-forwarded-",
    "x-real-",
    "x-accel-",
    "x-sendfile",
    "x-ratelimit-",
    "x-request-id",
    "x-dns-",
    "x-permitted-",
    "x-http-method",
    "x-original-",
    "x-rewrite-",
)
"""They mean something to browsers, to proxies, or to our own clients."""
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def is_allowed(name: str) -> bool:
    """Whether a workflow may set it. `name` in lower case."""
    return name in ALLOWED or (name.startswith("x-") and not name.startswith(_FORBIDDEN) and _NAME.issuperset(name))


def is_value(value: str) -> bool:
    """Whether it can stand in a header: letters of Latin-1 and spaces, nothing that ends a line."""
    return all(" " <= letter <= "\xff" and not "\x7f" <= letter <= "\x9f" for letter in value)
