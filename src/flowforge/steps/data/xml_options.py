"""How XML and values stand for each other, see `xml_text`."""

from typing import Final

from pydantic import Field

from flowforge.operations import ErrorCode, StrictModel

XML_ERRORS: Final = (
    ErrorCode(
        "xml_invalid", "The text is no XML, or the value cannot be written as XML; details have line and column, or the path."
    ),
    ErrorCode("xml_forbidden", "The XML has a document type (DTD) or entities, which are never read."),
)
DEPTH_MAX: Final = 64
TEXT_FIELD: Final = "#text"


class XmlOptions(StrictModel):
    """How XML and values stand for each other."""

    force_list: list[str] = Field(
        default_factory=list[str],
        max_length=1_000,
        description="In reading: names of elements that are a list even where there is only one.",
    )
    trim: bool = Field(default=True, description="In reading: whether white space around text is left out.")
    root: str | None = Field(
        default=None,
        max_length=200,
        description="In writing: the name of the root element that the value is put into; none if the value is an object of one field.",
    )
    item: str = Field(
        default="item", max_length=200, description="In writing: the name of the elements for items of a list that has no name."
    )
