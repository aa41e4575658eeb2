"""Source text to tokens."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flowforge.kit.values import INTEGER_MAX
from flowforge.language.expressions.errors import ExpressionFault


class TokenKind(StrEnum):
    NUMBER = "number"
    STRING = "string"
    NAME = "name"
    QUOTED = "quoted"
    SYMBOL = "symbol"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the source's text; `value` that of a literal (an integer is not yet checked for its range)."""

    kind: TokenKind
    text: str
    value: int | float | str
    offset: int
    end: int


_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n\f]+|//[^\n]*)
    | (?P<float>(?:\d+\.\d+|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
    | (?P<hex>0[xX][0-9a-fA-F]+)
    | (?P<int>\d+)
    | (?P<bytes>(?:[bB][rR]?|[rR][bB])["'])
    | (?P<raw>[rR](?:\"{3}(?:.|\n)*?\"{3}|'{3}(?:.|\n)*?'{3}|"[^"\n\r]*"|'[^'\n\r]*'))
    | (?P<triple>\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3})
    | (?P<single>"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<quoted>`[A-Za-z0-9_.\-/\ ]+`)
    | (?P<symbol>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.ASCII,
)
_FORBIDDEN: Final = re.compile("[\\x00\\ufeff\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(?P<bad>.))",
    re.ASCII | re.DOTALL,
)
_SIMPLE_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def find_control_character(source: str) -> int | None:
    """The offset of the first character that could hide what an expression says (NUL, byte order mark, direction marks)."""
    match = _FORBIDDEN.search(source)
    return None if match is None else match.start()


def read_tokens(source: str) -> list[Token]:
    """All tokens, with an END token behind them.

    Raises:
        ExpressionFault: `control_char`, `expr_syntax` or `number_range`.
    """
    forbidden = find_control_character(source)
    if forbidden is not None:
        raise ExpressionFault(
            "control_char", "The expression holds a character that cannot be seen; write it as \\u….", forbidden
        )
    tokens: list[Token] = []
    offset = 0
    while offset < len(source):
        match = _TOKEN.match(source, offset)
        if match is None:
            raise _explain(source, offset)
        end = match.end()
        if match.lastgroup != "space":
            tokens.append(_make_token(match.lastgroup or "", match.group(), offset, end))
        offset = end
    tokens.append(Token(TokenKind.END, "", "", offset, offset))
    return tokens


def _make_token(group: str, text: str, offset: int, end: int) -> Token:
    match group:
        case "name" | "symbol":
            return Token(TokenKind(group), text, text, offset, end)
        case "quoted":
            return Token(TokenKind.QUOTED, text, text[1:-1], offset, end)
        case "int" | "hex":
            return Token(TokenKind.NUMBER, text, _read_integer(text, offset), offset, end)
        case "float":
            return Token(TokenKind.NUMBER, text, _read_float(text, offset), offset, end)
        case "bytes":
            raise ExpressionFault("expr_syntax", "There are no bytes here; write a string.", offset)
        case _:
            return Token(TokenKind.STRING, text, _read_string(group, text, offset), offset, end)


def _read_integer(text: str, offset: int) -> int:
    # 2^63 itself is let through: with a minus before it, it is the least integer.
    digits = text.lstrip("0") if len(text) < 2 or text[1] not in "xX" else text[2:].lstrip("0")
    value = int(text, 0 if text[:2] in {"0x", "0X"} else 10) if len(digits) <= 20 else INTEGER_MAX + 2
    if value > INTEGER_MAX + 1:
        raise ExpressionFault("number_range", "The number does not fit into 64 bits.", offset)
    return value


def _read_float(text: str, offset: int) -> int | float:
    value = float(text)
    if value == float("inf"):
        raise ExpressionFault("number_range", "The number is too large.", offset)
    return int(value) if value.is_integer() and value <= INTEGER_MAX else value


def _read_string(group: str, text: str, offset: int) -> str:
    if group == "raw":
        quotes = 3 if text[1:4] in {'"""', "'''"} else 1
        return text[1 + quotes : -quotes]
    quotes = 3 if group == "triple" else 1
    body = text[quotes:-quotes]
    if "\\" not in body:
        return body
    return _ESCAPE.sub(lambda match: _read_escape(match, offset + quotes), body)


def _read_escape(match: re.Match[str], offset: int) -> str:
    simple, byte, short, long, octal = (match[group] for group in range(1, 6))
    if simple is not None:
        return _SIMPLE_ESCAPES.get(simple, simple)
    if match["bad"] is not None:
        raise ExpressionFault(
            "expr_syntax", "There is no such escape in a string; a backslash is written \\\\.", offset + match.start()
        )
    code = int(octal, 8) if octal is not None else int(byte or short or long, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ExpressionFault("expr_syntax", "The escape names no character of Unicode.", offset + match.start())
    return chr(code)


def _explain(source: str, offset: int) -> ExpressionFault:
    character = source[offset]
    if character in "\"'":
        return ExpressionFault("expr_syntax", "The string is not closed, or goes over the end of the line.", offset)
    if character == "`":
        message = "Backticks stand only around a field's name, behind a dot: a.`some-name`."
    elif character == "=":
        message = "An expression cannot assign; to compare write ==."
    elif character == "$":
        message = "There is no second ${{ inside an expression; write the name alone."
    elif character in "&|":
        message = f"Write {character * 2} for a logical operator."
    elif not character.isascii():
        message = "Names hold only the letters a to z, digits and _."
    else:
        message = f"The character {character!r} has no meaning here."
    return ExpressionFault("expr_syntax", message, offset)
