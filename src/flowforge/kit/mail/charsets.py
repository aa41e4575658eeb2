"""Text in the character sets that mails are written in."""

import codecs
import re
from typing import Final

_KNOWN: Final = re.compile(
    r"utf-?(7|8|16|32)(-?(le|be))?|us-?ascii|ascii|(iso-?)?8859-\d{1,2}|latin-?\d|(windows-|cp|ibm)-?\d{3,4}|koi8-[rut]|mac-?\w{1,12}"
    r"|shift-?jis|sjis|euc-(jp|kr)|iso-?2022-(jp|kr)(-\w{1,8})?|gbk|gb-?2312|gb-?18030|big5(-hkscs)?|hz(-gb-2312)?|ks-c-5601-1987|johab"
    r"|tis-620|viscii|ptcp154"
)
"""Python knows codecs that are no character sets (rot13, zlib), and some that take a time that grows with the square of the text."""
_ALIASES: Final = {"ks-c-5601-1987": "cp949", "gb2312": "gb18030", "gb-2312": "gb18030", "gbk": "gb18030", "windows-874": "cp874"}
"""What is written under a name, and what is meant: the larger set that holds it."""


def decode_text(data: bytes, charset: str | None) -> str:
    """The text; bytes that do not fit become U+FFFD. Without a charset, or with an unknown one: UTF-8, else Windows-1252.

    Never fails, and no half of a surrogate pair comes out.
    """
    codec = find_codec(charset)
    if codec is not None and codec != "ascii":
        return _clean(data.decode(codec, errors="replace"))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def find_codec(charset: str | None) -> str | None:
    """Python's name of the codec; None where the charset is unknown."""
    name = (charset or "").strip().strip("\"'").lower().replace("_", "-")
    if not _KNOWN.fullmatch(name):
        return None
    try:
        return codecs.lookup(_ALIASES.get(name, name)).name
    except LookupError:
        return None


def _clean(text: str) -> str:
    # UTF-7 and the Java-like UTF-16 of some senders let halves of pairs through.
    return text.encode("utf-8", errors="replace").decode("utf-8") if any("\ud800" <= char <= "\udfff" for char in text) else text
