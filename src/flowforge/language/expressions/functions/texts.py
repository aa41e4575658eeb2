"""Functions of strings."""

from typing import Final

from flowforge.language.expressions.catalog import Style, Take, define
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import problem
from flowforge.language.expressions.functions.printf import format_text
from flowforge.language.expressions.regexes import PATTERN_TICKS, compile_pattern
from flowforge.language.expressions.values import Items, Kind, Value

TEXT: Final = Take.TEXT
WHOLE: Final = Take.WHOLE
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_QUOTED: Final = str.maketrans(
    {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}
)
_SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


@define(
    "text.contains(part)", "Whether the text holds the part.", ("'flow'.contains('lo')", True), TEXT, TEXT, result=Kind.BOOLEAN
)
def _contains(context: Context, text: str, part: str) -> Value:
    context.charge_text(len(text))
    return part in text


@define(
    "text.startsWith(part)", "Whether the text begins so.", ("'flow'.startsWith('fl')", True), TEXT, TEXT, result=Kind.BOOLEAN
)
def _starts_with(_context: Context, text: str, part: str) -> Value:
    return text.startswith(part)


@define("text.endsWith(part)", "Whether the text ends so.", ("'flow'.endsWith('ow')", True), TEXT, TEXT, result=Kind.BOOLEAN)
def _ends_with(_context: Context, text: str, part: str) -> Value:
    return text.endswith(part)


@define(
    "text.matches(pattern)",
    "Whether the regular expression (Rust's syntax) matches anywhere in the text; anchor it with ^ and $.",
    ("'A-17'.matches('^[A-Z]-[0-9]+$')", True),
    TEXT,
    TEXT,
    result=Kind.BOOLEAN,
    style=Style.BOTH,
)
def _matches(context: Context, text: str, pattern: str) -> Value:
    if pattern not in context.patterns:
        context.charge(PATTERN_TICKS + len(pattern))
        context.patterns.add(pattern)
    context.charge_text(len(text))
    return compile_pattern(pattern).isinstance_python(text)


def _need_position(position: int, text: str, name: str) -> int:
    if 0 <= position <= len(text):
        return position
    raise problem("index", f"{name}() got a position outside the text.")


@define(
    "text.charAt(position)",
    "The character at a position; '' at the end.",
    ("'flow'.charAt(1)", "l"),
    TEXT,
    WHOLE,
    result=Kind.STRING,
)
def _char_at(_context: Context, text: str, position: int) -> Value:
    start = _need_position(position, text, "charAt")
    return text[start : start + 1]


@define(
    "text.indexOf(part[, start])",
    "The position of the part, -1 if it is not there.",
    ("'banana'.indexOf('an', 2)", 3),
    TEXT,
    TEXT,
    WHOLE,
    result=Kind.NUMBER,
)
def _index_of(context: Context, text: str, part: str, start: int = 0) -> Value:
    context.charge_text(len(text))
    return text.find(part, _need_position(start, text, "indexOf"))


@define(
    "text.lastIndexOf(part[, start])",
    "The last position of the part, at `start` or before it.",
    ("'banana'.lastIndexOf('an')", 3),
    TEXT,
    TEXT,
    WHOLE,
    result=Kind.NUMBER,
)
def _last_index_of(context: Context, text: str, part: str, start: int | None = None) -> Value:
    context.charge_text(len(text))
    last = len(text) if start is None else _need_position(start, text, "lastIndexOf")
    return text.rfind(part, 0, last + len(part))


@define(
    "list.join([separator])",
    "The strings of a list as one.",
    ("['a', 'b'].join('-')", "a-b"),
    Take.LIST,
    TEXT,
    result=Kind.STRING,
)
def _join(context: Context, items: Items, separator: str = "") -> Value:
    parts = [item for item in items if type(item) is str]
    if len(parts) != len(items):
        raise problem("type_mismatch", "join() takes a list of strings.")
    context.charge(len(parts))
    context.charge_text(sum(map(len, parts)) + len(separator) * len(parts))
    return context.keep_text(separator.join(parts))


@define("text.lowerAscii()", "A to Z as small letters.", ("'FLOW'.lowerAscii()", "flow"), TEXT, result=Kind.STRING)
def _lower_ascii(context: Context, text: str) -> Value:
    context.charge_text(len(text))
    return context.keep_text(text.translate(_LOWER))


@define("text.upperAscii()", "a to z as capital letters.", ("'flow'.upperAscii()", "FLOW"), TEXT, result=Kind.STRING)
def _upper_ascii(context: Context, text: str) -> Value:
    context.charge_text(len(text))
    return context.keep_text(text.translate(_UPPER))


@define(
    "text.replace(old, new[, times])",
    "The text with `new` for `old`, everywhere or so many times.",
    ("'a-b-c'.replace('-', '+', 1)", "a+b-c"),
    TEXT,
    TEXT,
    TEXT,
    WHOLE,
    result=Kind.STRING,
)
def _replace(context: Context, text: str, old: str, new: str, times: int = -1) -> Value:
    context.charge_text(len(text))
    found = text.count(old)
    replaced = found if times < 0 else min(found, times)
    context.charge_text(len(text) + replaced * max(len(new) - len(old), 0))
    return context.keep_text(text.replace(old, new, replaced))


@define(
    "text.split(separator[, parts])",
    "The parts between separators, at most so many; '' splits into characters.",
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    TEXT,
    TEXT,
    WHOLE,
    result=Kind.LIST,
)
def _split(context: Context, text: str, separator: str, parts: int = -1) -> Value:
    context.charge_text(len(text))
    found = text.count(separator) + 1 if separator else len(text)
    wanted = found if parts < 0 else min(found, parts)
    context.charge(wanted)
    if wanted == 0:
        return context.keep_list([])
    if separator:
        return context.keep_list([*text.split(separator, wanted - 1)])
    return context.keep_list([*text[: wanted - 1], text[wanted - 1 :]])


@define(
    "text.substring(start[, end])",
    "The text from `start` to before `end`.",
    ("'banana'.substring(2, 4)", "na"),
    TEXT,
    WHOLE,
    WHOLE,
    result=Kind.STRING,
)
def _substring(context: Context, text: str, start: int, end: int | None = None) -> Value:
    last = len(text) if end is None else _need_position(end, text, "substring")
    if _need_position(start, text, "substring") > last:
        raise problem("index", "substring() got a start behind its end.")
    context.charge_text(last - start)
    return context.keep_text(text[start:last])


@define("text.trim()", "The text without white space around it.", ("' flow '.trim()", "flow"), TEXT, result=Kind.STRING)
def _trim(context: Context, text: str) -> Value:
    context.charge_text(len(text))
    return context.keep_text(text.strip(_SPACES))


@define(
    "strings.quote(text)", "The text in double quotes, escaped.", ("strings.quote('a\\nb')", '"a\\nb"'), TEXT, result=Kind.STRING
)
def _quote(context: Context, text: str) -> Value:
    context.charge_text(2 * len(text))
    return context.keep_text(f'"{text.translate(_QUOTED)}"')


@define(
    "pattern.format(list)",
    "The pattern with the values in place of %s, %d, %f, %e, %x, %X, %o, %b (%.2f: two decimals; %%: a percent sign).",
    ("'%s: %.2f'.format(['total', 2.5])", "total: 2.50"),
    TEXT,
    Take.LIST,
    result=Kind.STRING,
)
def _format(context: Context, pattern: str, arguments: Items) -> Value:
    return format_text(context, pattern, arguments)


TEXT_FUNCTIONS: Final = (
    _contains,
    _starts_with,
    _ends_with,
    _matches,
    _char_at,
    _index_of,
    _last_index_of,
    _join,
    _lower_ascii,
    _upper_ascii,
    _replace,
    _split,
    _substring,
    _trim,
    _quote,
    _format,
)
