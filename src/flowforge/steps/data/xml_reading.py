"""Reads XML into a value. Imported by those who read XML only: the parsers take 10 ms."""

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler  # the interface only; what parses is defusedxml
from xml.sax.xmlreader import AttributesImpl, InputSource  # a holder of bytes

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from flowforge.kit.border import JsonRefusedError, check_json
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.steps.data.xml_options import DEPTH_MAX, TEXT_FIELD, XmlOptions

if TYPE_CHECKING:
    from xml.sax.xmlreader import Locator

_LIMITS: Final = Limits()
_SPACE: Final = " \t\r\n"


@dataclass(slots=True)
class _Element:
    name: str
    fields: JsonObject
    texts: list[str] = field(default_factory=list[str])
    has_children: bool = False


class _Handler(ContentHandler):
    """Builds the value while the parser reads."""

    def __init__(self, options: XmlOptions) -> None:
        super().__init__()
        self._options = options
        self._lists = frozenset(options.force_list)
        self._open = [_Element("", {})]
        self._place: Locator | None = None

    @property
    def value(self) -> JsonValue:
        return self._open[0].fields

    def setDocumentLocator(self, locator: "Locator") -> None:  # noqa: N802 - the interface's name
        self._place = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - the interface's name
        if len(self._open) > DEPTH_MAX:
            line, column = self._tell_place()
            raise _fail(f"it is nested more than {DEPTH_MAX} levels deep", line, column)
        attributes = attrs.items()
        self._open[-1].has_children = True
        self._open.append(_Element(name, {f"@{key}": value for key, value in attributes}))

    def characters(self, content: str) -> None:
        self._open[-1].texts.append(content)

    def endElement(self, name: str) -> None:  # noqa: N802 - the interface's name
        value = self._finish(self._open.pop())
        fields = self._open[-1].fields
        if name not in fields:
            fields[name] = [value] if name in self._lists and len(self._open) > 1 else value
            return
        # An attribute begins with @, text with #: what is there under this name is a child.
        there = fields[name]
        if isinstance(there, list):
            there.append(value)
        else:
            fields[name] = [there, value]

    def _finish(self, element: _Element) -> JsonValue:
        text = "".join(element.texts)
        if self._options.trim or (element.has_children and not text.strip(_SPACE)):
            text = text.strip(_SPACE)
        if not element.fields:
            return text or None
        if text:
            element.fields[TEXT_FIELD] = text
        return element.fields

    def _tell_place(self) -> tuple[int, int]:
        place = self._place
        return (1, 1) if place is None else (place.getLineNumber() or 1, (place.getColumnNumber() or 0) + 1)


def read_xml(source: str | bytes, options: XmlOptions) -> JsonObject:
    """See `parse_xml`, which is the way in."""
    handler = _Handler(options)
    parser = DefusedExpatParser(forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.setContentHandler(handler)
    held = InputSource()
    held.setByteStream(io.BytesIO(source.encode() if isinstance(source, str) else source))
    if isinstance(source, str):
        held.setEncoding("utf-8")  # whatever the text declares, it is decoded already
    try:
        parser.parse(held)
        return cast("JsonObject", check_json(handler.value, _LIMITS))
    except DefusedXmlException:
        message = "The XML has a document type (DTD) or entities, which are never read; take them out before."
        raise FatalError(message, code="xml_forbidden") from None
    except SAXParseException as fault:
        raise _fail(str(fault.getMessage()), fault.getLineNumber() or 1, (fault.getColumnNumber() or 0) + 1) from None
    except JsonRefusedError as error:
        raise FatalError(f"The value of the XML is too large: {error.message}", code=error.reason) from None
    except (SAXException, ValueError, LookupError) as fault:
        raise _fail(str(fault)[:200], 1, 1) from None


def _fail(problem: str, line: int, column: int) -> FatalError:
    message = f"The text is no XML that can be converted: {problem} (line {line}, column {column})."
    return FatalError(message, code="xml_invalid", details={"line": line, "column": column})
