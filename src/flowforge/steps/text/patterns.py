"""Regular expressions by RE2, whose time is linear in the text."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, Literal

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, FatalError

Flag = Literal["ignore_case", "multiline", "dot_all"]

PATTERN_ERRORS: Final = (ErrorCode("regex_invalid", "The pattern is no regular expression in RE2's syntax."),)
_LETTERS: Final[dict[str, str]] = {"ignore_case": "i", "multiline": "m", "dot_all": "s"}


def apply_pattern(text: str, pattern: str, action: str, replacement: str | None, flags: Sequence[Flag], limit: int) -> JsonValue:
    """What `action` gives. Positions count characters.

    Raises:
        FatalError: `regex_invalid`, `replacement_invalid`.
    """
    found = compile_pattern(pattern, tuple(flags))
    match action:
        case "test":
            return found.search(text) is not None
        case "find":
            first = found.search(text)
            return None if first is None else _describe(first)
        case "replace":
            return _replace(found, replacement or "", text, limit)
        case "split":
            return [part for part in found.split(text, limit) if part is not None]
        case _:
            return [_describe(match) for match in islice(_find_all(found, text), limit)]


@lru_cache(256)
def compile_pattern(pattern: str, flags: tuple[Flag, ...] = ()) -> Any:
    """The compiled pattern. Raises FatalError (`regex_invalid`)."""
    # The library takes 10 ms to import.
    from importlib import import_module

    re2: Any = import_module("re2")  # it has no type stubs
    options = re2.Options()
    options.log_errors = False
    letters = "".join(_LETTERS[flag] for flag in flags)
    try:
        return re2.compile(f"(?{letters}){pattern}" if letters else pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else "it cannot be read"
        told = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise FatalError(
            f"pattern: {told}. RE2's syntax has no look-around and no back-references.", code="regex_invalid"
        ) from error


def _find_all(pattern: Any, text: str) -> Iterator[Any]:
    yield from pattern.finditer(text)


def _describe(match: Any) -> JsonObject:
    names = {name: match.group(number) for name, number in match.re.groupindex.items()}
    return {"match": match.group(), "start": match.start(), "end": match.end(), "groups": [*match.groups()], "names": names}


def _replace(pattern: Any, replacement: str, text: str, limit: int) -> str:
    try:
        return pattern.sub(replacement, text, limit)
    except (IndexError, KeyError, ValueError, AttributeError) as error:
        raise FatalError("replacement names a group that the pattern does not have.", code="replacement_invalid") from error
