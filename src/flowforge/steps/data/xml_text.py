"""XML (1.0) to JSON values and back, by one rule.

An element is an object of its parts: an attribute is `@name`, a child element its name, text `#text`; children of one name are a list.
An element with text alone is that text, an empty one null. The whole is an object with one field, the root element. Prefixes of
namespaces stay where they are (`dc:title`), their declarations are attributes (`@xmlns:dc`). Comments and processing instructions are
left out, and the order between children of different names is lost.
"""

import re
from collections.abc import Iterator
from typing import Final

from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.steps.data.xml_markup import escape_text, quote_attribute
from flowforge.steps.data.xml_options import TEXT_FIELD, XmlOptions

_NAME_START: Final = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf"
    "\ufdf0-\ufffd\U00010000-\U000effff"
)
_PART: Final = f"[{_NAME_START}][{_NAME_START}\\-.0-9\xb7\u0300-\u036f\u203f-\u2040]*"
_NAME: Final = re.compile(f"{_PART}(?::{_PART})?")
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>'


def parse_xml(source: str | bytes, options: XmlOptions) -> JsonObject:
    """The value of XML; bytes are in the encoding that they declare, or else UTF-8.

    Raises:
        FatalError: `xml_invalid`, with line and column in its details; `xml_forbidden`: there is a DTD or an entity;
            `json_depth`, `json_keys`: the value would be too deep or too wide.
    """
    from flowforge.steps.data.xml_reading import read_xml  # see there

    return read_xml(source, options)


def write_xml(value: JsonValue, options: XmlOptions, *, pretty: bool = False) -> str:
    """XML text of a value; numbers, true and false are written as in JSON, null as an empty element.

    Raises:
        FatalError: `xml_invalid`, with the path in its details: a field's name is no name of XML, a text holds a character that XML
            cannot hold, an attribute is a list or an object, or the value is not one element and the options name no root.
    """
    name, content = _find_root(value, options)
    lines = "".join(_Writer(options, pretty=pretty).write(name, content, name, 0))
    return f"{_HEAD}\n{lines}" if pretty else f"{_HEAD}{lines}"


def _find_root(value: JsonValue, options: XmlOptions) -> tuple[str, JsonValue]:
    if options.root is not None:
        return options.root, {options.item: value} if isinstance(value, list) else value
    if isinstance(value, dict) and len(value) == 1:
        name, content = next(iter(value.items()))
        if not isinstance(content, list):
            return name, content
    raise _refuse("XML has one root element: give an object with one field that is no list, or name the root in `xml.root`", "")


class _Writer:
    def __init__(self, options: XmlOptions, *, pretty: bool) -> None:
        self._options = options
        self._indent = "  " if pretty else ""
        self._end = "\n" if pretty else ""

    def write(self, name: str, value: JsonValue, path: str, depth: int) -> Iterator[str]:
        if not _NAME.fullmatch(name):
            raise _refuse(f"{name[:60]!r} can be no name of an element", path)
        margin = self._indent * depth
        if not isinstance(value, dict):
            text = self._write_text(value, path)
            yield f"{margin}<{name}>{text}</{name}>{self._end}" if text else f"{margin}<{name}/>{self._end}"
            return
        attributes = "".join(self._write_attributes(value, path))
        text = self._write_text(value.get(TEXT_FIELD), f"{path}.{TEXT_FIELD}")
        children = [(key, item) for key, item in value.items() if not key.startswith("@") and key != TEXT_FIELD]
        # White space beside text would become a part of it.
        inner = self if not text else _Writer(self._options, pretty=False)
        body = "".join(piece for key, item in children for piece in inner.write_children(key, item, f"{path}.{key}", depth + 1))
        if not text and not body:
            yield f"{margin}<{name}{attributes}/>{self._end}"
        elif text or not body:
            yield f"{margin}<{name}{attributes}>{text}{body}</{name}>{self._end}"
        else:
            yield f"{margin}<{name}{attributes}>{self._end}{body}{margin}</{name}>{self._end}"

    def write_children(self, name: str, value: JsonValue, path: str, depth: int) -> Iterator[str]:
        if not isinstance(value, list):
            yield from self.write(name, value, path, depth)
            return
        for index, item in enumerate(value):
            # A list in a list is an element whose children are the items.
            content: JsonValue = {self._options.item: item} if isinstance(item, list) else item
            yield from self.write(name, content, f"{path}[{index}]", depth)

    def _write_attributes(self, fields: JsonObject, path: str) -> Iterator[str]:
        for key, value in fields.items():
            if not key.startswith("@"):
                continue
            if not _NAME.fullmatch(key[1:]):
                raise _refuse(f"{key[:60]!r} can be no name of an attribute", f"{path}.{key}")
            if isinstance(value, list | dict):
                raise _refuse("an attribute is a text, a number or a boolean, no list or object", f"{path}.{key}")
            yield f" {key[1:]}={quote_attribute(_to_text(value, f'{path}.{key}'))}"

    def _write_text(self, value: JsonValue, path: str) -> str:
        if isinstance(value, list | dict):
            raise _refuse("text is no list or object", path)
        return escape_text(_to_text(value, path))


def _to_text(value: JsonValue, path: str) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else encode(value).decode()
    found = _NOT_IN_XML.search(text)
    if found:
        raise _refuse(f"XML cannot hold the character U+{ord(found.group()):04X}; take it out, or write the text in base64", path)
    return text


def _refuse(problem: str, path: str) -> FatalError:
    where = f" (at {path})" if path else ""
    return FatalError(f"The value cannot be written as XML: {problem}{where}.", code="xml_invalid", details={"path": path})
