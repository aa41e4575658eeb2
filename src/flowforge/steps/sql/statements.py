"""Reads SQL just far enough to find its placeholders and its end. No I/O.

One way of writing placeholders holds for every database: `?` with a list of parameters, `:name` with an object. What stands in strings,
quoted names, comments and PostgreSQL's dollar quotes is left alone. The statement is cut at its placeholders; each driver then puts its own
sign between the pieces, so that a value never becomes a part of the text.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError

STATEMENT_MAX_CHARACTERS: Final = 100_000
_FIRST_WORDS: Final = 8


class Dialect(StrEnum):
    """Whose SQL it is."""

    SQLITE = "SQLite"
    POSTGRESQL = "PostgreSQL"
    MYSQL = "MySQL"


class Style(StrEnum):
    """How a statement names its parameters."""

    NONE = "none"
    POSITIONAL = "positional"
    NAMED = "named"


Slot = int | str
"""A placeholder: the index of a positional parameter, counted from 0, or a name."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement without its closing `;`, cut at the placeholders: there is one piece more than there are slots."""

    pieces: tuple[str, ...]
    slots: tuple[Slot, ...]
    words: tuple[str, ...]
    """The first words, in capitals, comments and names in quotes left out."""

    @property
    def keyword(self) -> str:
        return self.words[0] if self.words else ""


_STRINGS: Final = {
    Dialect.SQLITE: r"'[^']*(?:''[^']*)*'|\"[^\"]*(?:\"\"[^\"]*)*\"|`[^`]*(?:``[^`]*)*`|\[[^\]]*\]",
    Dialect.POSTGRESQL: (
        r"[eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'|'[^']*(?:''[^']*)*'|\"[^\"]*(?:\"\"[^\"]*)*\""
        r"|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$"
    ),
    Dialect.MYSQL: r"'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'|\"[^\"\\]*(?:(?:\"\"|\\.)[^\"\\]*)*\"|`[^`]*(?:``[^`]*)*`",
}
_COMMENTS: Final = {
    Dialect.SQLITE: r"--[^\n]*",
    Dialect.POSTGRESQL: r"--[^\n]*",
    Dialect.MYSQL: r"--(?=[\s\x00-\x1f]|$)[^\n]*|\#[^\n]*",
}
_TOKENS: Final = {
    dialect: re.compile(
        rf"(?P<comment>{_COMMENTS[dialect]})|(?P<block>/\*)|(?P<string>{_STRINGS[dialect]})"
        r"|(?P<skip>::|:=)|(?P<named>:[^\W\d]\w*)|(?P<mark>\?\?|\?[|&]|\?\d+|\?)|(?P<word>[^\W\d][\w$]*)|(?P<number>\d[\w.]*)"
        r"|(?P<space>\s+)|(?P<end>;)|(?P<other>.)",
        re.DOTALL,
    )
    for dialect in Dialect
}
_BLOCK_SIGN: Final = re.compile(r"/\*|\*/")
_DOLLAR_QUOTE: Final = re.compile(r"\$([^\W\d]\w*)?\$")
_COMPOUND: Final = frozenset({"TRIGGER", "FUNCTION", "PROCEDURE", "EVENT", "PACKAGE"})
_TRANSACTION_WORDS: Final = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "XA", "UNLOCK"}
)
_TRANSACTION_STARTS: Final = (("PREPARE", "TRANSACTION"), ("LOCK", "TABLES"), ("SET", "TRANSACTION"), ("SET", "AUTOCOMMIT"))
_COMMITS_BY_ITSELF: Final = frozenset(
    """
    ALTER ANALYZE CACHE CHECK CREATE DROP FLUSH GRANT INSTALL OPTIMIZE RENAME REPAIR RESET REVOKE TRUNCATE UNINSTALL
    """.split()  # noqa: SIM905 (a list of quoted words is harder to read)
)


def find_style(parameters: JsonValue) -> Style:
    """The style that goes with the parameters given: a list, an object, or none."""
    if isinstance(parameters, list):
        return Style.POSITIONAL
    return Style.NAMED if isinstance(parameters, dict) else Style.NONE


def read_statement(text: str, dialect: Dialect, style: Style) -> Statement:
    """Cuts one statement at its placeholders.

    Raises:
        FatalError: `sql_statement`: there is none, more than one, one that steers the transaction, a quote that does not end, or a
            placeholder of another style than the parameters have.
    """
    reader = _Reader(text, dialect, style)
    statement = reader.read()
    if not statement.words:
        raise refuse("it is empty; write one statement")
    if _steers_transaction(statement):
        raise refuse(
            f"{' '.join(statement.words[:2])} steers the transaction, which the step does itself; use `sql.batch` for several statements"
        )
    return statement


def commits_by_itself(statement: Statement) -> bool:
    """Whether MySQL and MariaDB end the transaction before and after this statement, as they do for most that change a schema."""
    return statement.keyword in _COMMITS_BY_ITSELF and "TEMPORARY" not in statement.words[:4]


def refuse(what: str) -> FatalError:
    return FatalError(f"The statement cannot be used: {what}.", code="sql_statement")


def _steers_transaction(statement: Statement) -> bool:
    words = statement.words
    if words[0] == "SET" and {"AUTOCOMMIT", "TRANSACTION"} & set(words[:4]):
        return True
    return words[0] in _TRANSACTION_WORDS or any(words[:2] == start for start in _TRANSACTION_STARTS)


class _Reader:
    """One pass over a text."""

    def __init__(self, text: str, dialect: Dialect, style: Style) -> None:
        self._text = text
        self._dialect = dialect
        self._style = style
        self._pieces: list[str] = [""]
        self._slots: list[Slot] = []
        self._words: list[str] = []
        self._depth = 0
        self._has_ended = False

    def read(self) -> Statement:
        position = 0
        pattern = _TOKENS[self._dialect]
        while (match := pattern.match(self._text, position)) is not None:
            kind = match.lastgroup if match.lastgroup != "tag" else "string"
            token = match.group()
            position = match.end()
            if kind == "block":
                position = self._find_block_end(match.start())
                token = self._text[match.start() : position]
            if kind == "end":
                self._end()
            elif kind not in {"comment", "block", "space"} and self._has_ended:
                raise refuse("there is more than one; `sql.batch` takes several in one transaction")
            elif not self._has_ended:
                self._take(kind or "other", token, match.start())
        return Statement(tuple(self._pieces), tuple(self._slots), tuple(self._words))

    def _take(self, kind: str, token: str, start: int) -> None:
        match kind:
            case "named":
                self._take_name(token, start)
            case "mark":
                self._take_mark(token, start)
            case "word":
                self._take_word(token)
                self._pieces[-1] += token
            case "other":
                self._check_sign(token, start)
                self._pieces[-1] += token
            case _:
                self._pieces[-1] += token

    def _take_name(self, token: str, start: int) -> None:
        follows_word = start > 0 and (self._text[start - 1].isalnum() or self._text[start - 1] == "_")
        if follows_word or self._is_compound:
            self._pieces[-1] += token
        elif self._style is Style.NAMED:
            self._slots.append(token[1:])
            self._pieces.append("")
        elif self._style is Style.POSITIONAL and self._dialect is Dialect.POSTGRESQL:
            self._pieces[-1] += token  # the end of an array's slice
        else:
            raise refuse(
                f"the placeholder {token} at character {start + 1} wants `parameters` to be an object with {token[1:]!r} in it"
            )

    def _take_mark(self, mark: str, start: int) -> None:
        is_postgresql = self._dialect is Dialect.POSTGRESQL
        if is_postgresql and mark == "??":
            self._pieces[-1] += "?"
        elif (is_postgresql and (mark in {"?|", "?&"} or self._style is not Style.POSITIONAL)) or self._is_compound:
            self._pieces[-1] += mark
        elif self._style is not Style.POSITIONAL:
            raise refuse(f"the placeholder ? at character {start + 1} wants `parameters` to be a list")
        elif len(mark) > 1 and mark[1].isdigit():
            raise refuse(f"{mark} at character {start + 1}: placeholders are a plain ? or :name")
        else:
            for _ in range(mark.count("?")):
                self._slots.append(len(self._slots))
                self._pieces.append("")
            self._pieces[-1] += mark.lstrip("?")

    def _take_word(self, token: str) -> None:
        word = token.upper()
        if len(self._words) < _FIRST_WORDS:
            self._words.append(word)
        if self._dialect is Dialect.POSTGRESQL and self._is_compound:
            # Only the body of a routine in standard SQL (BEGIN ATOMIC … END) holds a `;` outside quotes.
            self._depth += 1 if word in {"ATOMIC", "CASE"} else 0
            self._depth -= 1 if word == "END" and self._depth else 0

    def _check_sign(self, sign: str, start: int) -> None:
        if sign in {"'", '"', "`"} and not (sign == "`" and self._dialect is Dialect.POSTGRESQL):
            raise refuse(f"the quote {sign} at character {start + 1} does not end")
        if self._dialect is Dialect.POSTGRESQL and _DOLLAR_QUOTE.match(self._text, start):
            raise refuse(f"the quote {sign} at character {start + 1} does not end")
        following = self._text[start + 1 : start + 2]
        is_native = (sign in "@$" and self._dialect is Dialect.SQLITE and (following.isalnum() or following == "_")) or (
            sign == "$" and self._dialect is Dialect.POSTGRESQL and following.isdigit()
        )
        if is_native:
            raise refuse(f"{sign}{following} at character {start + 1}: placeholders are a plain ? or :name")
        if sign == "\0":
            raise refuse(f"there is a NUL at character {start + 1}")

    @property
    def _is_compound(self) -> bool:
        return self._words[:1] == ["CREATE"] and not _COMPOUND.isdisjoint(self._words)

    def _end(self) -> None:
        # SQLite's driver and, without multi-statements, MySQL's server take one statement only, and know where a routine's body ends.
        if self._is_compound and (self._depth or self._dialect is not Dialect.POSTGRESQL):
            self._pieces[-1] += ";"
        else:
            self._has_ended = True

    def _find_block_end(self, start: int) -> int:
        if self._dialect is Dialect.MYSQL and re.match(r"/\*M?!", self._text[start : start + 4]):
            raise refuse(f"the comment at character {start + 1} would be run by the server; write its content plainly")
        depth = 0
        for sign in _BLOCK_SIGN.finditer(self._text, start):
            is_opening = sign.group() == "/*"
            if is_opening and depth and self._dialect is not Dialect.POSTGRESQL:
                continue  # only PostgreSQL nests comments
            depth += 1 if is_opening else -1
            if depth == 0:
                return sign.end()
        raise refuse(f"the comment at character {start + 1} does not end")
