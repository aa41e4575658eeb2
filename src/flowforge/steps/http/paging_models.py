"""The parameter `paging` of `http.request`."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from flowforge.operations import StrictModel, require_one

PAGES_MAX: Final = 10_000
ITEMS_MAX: Final = 100_000


def _check_path(text: str) -> str:
    # Start-up cost: 10 ms, which a process that fetches no pages does not pay.
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        jmespath.compile(text)
    except (JMESPathError, RecursionError):
        raise ValueError("this is no JMESPath, such as meta.next or data.items") from None
    return text


BodyPath = Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_check_path)]
"""A place in a body, as JMESPath: `meta.next_cursor`."""


def find_in_body(path: str, body: Any) -> Any:
    """What the JMESPath finds in the body; null for nothing. Raises ValueError where one of its functions does not fit the value."""
    # Start-up cost, as above.
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.search(path, body)
    except JMESPathError as error:
        raise ValueError(str(error).splitlines()[0]) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


class CursorPaging(StrictModel):
    """Each page names the next one."""

    cursor_from: BodyPath = Field(alias="from", description="Where the next cursor stands in the body, as JMESPath.")
    query: str | None = Field(default=None, description="The query parameter that carries the cursor.", min_length=1)
    json_name: str | None = Field(
        default=None, alias="json", description="The field of the JSON body that carries the cursor.", min_length=1
    )

    @model_validator(mode="after")
    def _check_one_place(self) -> "CursorPaging":
        require_one(self, "query", "json_name")
        return self


class PagePaging(StrictModel):
    """Pages are numbered."""

    query: str = Field(description="The query parameter that carries the number.", min_length=1)
    start: int = Field(default=1, ge=0, le=1_000_000, description="The number of the first page.")


class OffsetPaging(StrictModel):
    """Items are counted."""

    query: str = Field(description="The query parameter that carries how many items to pass over.", min_length=1)
    limit_query: str | None = Field(
        default=None, description="The query parameter that carries the size of a page.", min_length=1
    )
    size: int = Field(default=100, ge=1, le=10_000, description="The size of a page, sent as `limit_query`.")


class Paging(StrictModel):
    """How pages follow each other: exactly one of `link`, `cursor`, `page` and `offset`."""

    link: Literal[True] | BodyPath | None = Field(
        default=None,
        description="Follow the URL of the next page: `true` for the one of the Link header, or where it stands in the body, as JMESPath.",
    )
    cursor: CursorPaging | None = Field(
        default=None, description="Send the cursor that the last page gave, until one gives none."
    )
    page: PagePaging | None = Field(default=None, description="Send the page's number, until a page is empty.")
    offset: OffsetPaging | None = Field(default=None, description="Send the number of items so far, until a page is empty.")
    items: BodyPath = Field(
        default="@", description="Where the list stands in a page, as JMESPath; the page itself unless given."
    )
    limit_pages: int = Field(default=100, ge=1, le=PAGES_MAX, description="The most pages to fetch.")
    limit_items: int | None = Field(default=None, ge=1, le=ITEMS_MAX, description="The most items to give; at most 100000.")
    stop_when_empty: bool = Field(
        default=False,
        description="With `link` and `cursor`: an empty page is the last one, whatever it says. The other two end there in any case.",
    )

    @model_validator(mode="after")
    def _check_one_style(self) -> "Paging":
        require_one(self, "link", "cursor", "page", "offset")
        return self

    @property
    def body_name(self) -> str | None:
        """The field of the JSON body that paging fills in."""
        return self.cursor.json_name if self.cursor is not None else None
