"""Fetches a list that a server gives page by page."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from urllib.parse import parse_qsl, urljoin, urlsplit

from flowforge.kit.border import encode
from flowforge.kit.egress import EgressError, EgressResponse
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, FatalError, OperationContext
from flowforge.steps.http.answers import is_expected, parse_json, refuse_status
from flowforge.steps.http.fields import Fields
from flowforge.steps.http.header_values import find_link
from flowforge.steps.http.paging_models import ITEMS_MAX, CursorPaging, OffsetPaging, PagePaging, Paging, find_in_body
from flowforge.steps.http.parameters import RequestParameters
from flowforge.steps.http.sending import Call, Caller, is_same_origin
from flowforge.steps.outbound import explain_egress

PAGING_ERRORS: Final = (
    ErrorCode("paging_loop", "A page was the same as one before: same URL, cursor or content."),
    ErrorCode("paging_other_host", "The next page lies on another host, to which the credentials do not belong."),
    ErrorCode("paging_items", "A page holds no list where `items` says, or `items`, `link` or `cursor.from` does not fit it."),
    ErrorCode("output_too_large", "The pages together are larger than LIMIT_STEP_OUT_MAX allows."),
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that came: its answer, the body and the items in it; `pages` and `items_before` count what came with it and before it."""

    response: EgressResponse
    body: JsonValue
    items: list[JsonValue]
    pages: int
    items_before: int


@dataclass(frozen=True, slots=True)
class Turn:
    """How the next page is asked for; what is empty or None stays as the parameters have it. `mark` tells turns apart."""

    mark: str
    url: str | None = None
    query: Fields = field(default_factory=Fields)
    body_field: JsonObject = field(default_factory=JsonObject)


class Style(Protocol):
    """One way in which pages follow each other."""

    def begin(self) -> Turn: ...

    def find_next(self, page: Page) -> Turn | None:
        """None after the last page. Raises FatalError with a code of PAGING_ERRORS."""
        ...


@dataclass(frozen=True, slots=True)
class ByLink:
    """The next URL stands in the Link header (RFC 8288), or in the body at a path. A host other than the first is refused."""

    first_url: str
    body_path: str | None
    stops_when_empty: bool

    def begin(self) -> Turn:
        return Turn(mark=self.first_url)

    def find_next(self, page: Page) -> Turn | None:
        if self.stops_when_empty and not page.items:
            return None
        if self.body_path is None:
            found: JsonValue = find_link(page.response.headers.get("link"), "next")
        else:
            found = _search(self.body_path, page.body, "link")
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise FatalError(f"link: {self.body_path} gives no URL in the body; name the place of one.", code="paging_items")
        url = urljoin(page.response.url, found)
        self._check_host(url)
        return Turn(mark=url, url=url)

    def _check_host(self, url: str) -> None:
        try:
            is_same = is_same_origin(url, self.first_url)
        except EgressError as error:
            raise explain_egress(error) from error
        if not is_same:
            raise FatalError(
                f"The next page lies on {urlsplit(url).netloc[:200]}, another host than the first; it is not followed, because the "
                "credentials do not belong there. Ask that host in a step of its own.",
                code="paging_other_host",
            )


@dataclass(frozen=True, slots=True)
class ByCursor:
    """Each page gives a cursor for the next one."""

    cursor: CursorPaging
    stops_when_empty: bool

    def begin(self) -> Turn:
        return Turn(mark="")

    def find_next(self, page: Page) -> Turn | None:
        if self.stops_when_empty and not page.items:
            return None
        found = _search(self.cursor.cursor_from, page.body, "cursor.from")
        if found is None or found in ("", False):
            return None
        if isinstance(found, list | dict) and self.cursor.query is not None:
            raise FatalError(
                f"cursor.from: {self.cursor.cursor_from} gives a list or an object; a query takes a text.", code="paging_items"
            )
        mark = encode(found).decode()
        if self.cursor.query is not None:
            return Turn(mark, query={self.cursor.query: found if isinstance(found, str | int | float) else mark})
        return Turn(mark, body_field={str(self.cursor.json_name): found})


@dataclass(frozen=True, slots=True)
class ByNumber:
    """Pages have numbers; the first empty one is the end."""

    page: PagePaging

    def begin(self) -> Turn:
        return self._ask(self.page.start)

    def find_next(self, page: Page) -> Turn | None:
        return self._ask(self.page.start + page.pages) if page.items else None

    def _ask(self, number: int) -> Turn:
        return Turn(mark=str(number), query={self.page.query: number})


@dataclass(frozen=True, slots=True)
class ByOffset:
    """Items are counted. What a server gives counts, not what it was asked for: it may give fewer at once than `size`."""

    offset: OffsetPaging

    def begin(self) -> Turn:
        return self._ask(0)

    def find_next(self, page: Page) -> Turn | None:
        return self._ask(page.items_before + len(page.items)) if page.items else None

    def _ask(self, start: int) -> Turn:
        query: Fields = {self.offset.query: start}
        if self.offset.limit_query is not None:
            query[self.offset.limit_query] = self.offset.size
        return Turn(mark=str(start), query=query)


def _make_style(paging: Paging, first_url: str) -> Style:
    if paging.cursor is not None:
        return ByCursor(paging.cursor, paging.stop_when_empty)
    if paging.page is not None:
        return ByNumber(paging.page)
    if paging.offset is not None:
        return ByOffset(paging.offset)
    return ByLink(first_url, paging.link if isinstance(paging.link, str) else None, paging.stop_when_empty)


@dataclass(frozen=True, slots=True)
class Pages:
    """What all pages gave. `is_complete`: no limit ended it before the last page."""

    last: EgressResponse
    items: list[JsonValue]
    count: int
    is_complete: bool


class Pager:
    """Fetches one page after the other, within the limits of `paging` and of a step's output."""

    def __init__(
        self,
        parameters: RequestParameters,
        paging: Paging,
        context: OperationContext,
        caller: Caller,
    ) -> None:
        self._parameters = parameters
        self._paging = paging
        self._context = context
        self._caller = caller
        self._style = _make_style(paging, parameters.url)
        self._items: list[JsonValue] = []
        self._size_bytes = 0
        self._seen_marks: set[str] = set()
        self._last_content = b""

    async def collect(self, first: Call) -> Pages:
        """All pages, beginning with the call.

        Raises:
            FatalError, RetryableError: with a code of PAGING_ERRORS or CALL_ERRORS; no page is given then.
        """
        turn = self._style.begin()
        limit_items = self._paging.limit_items or ITEMS_MAX
        count = 0
        while True:
            self._refuse_known(turn, count)
            page = await self._fetch(first, turn, count + 1)
            count += 1
            self._items += page.items
            following = self._style.find_next(page)
            is_cut = len(self._items) > limit_items or (len(self._items) == limit_items and following is not None)
            if following is None or is_cut or count >= self._paging.limit_pages:
                is_complete = following is None and not is_cut
                return Pages(page.response, self._items[:limit_items], count, is_complete)
            turn = following

    async def _fetch(self, first: Call, turn: Turn, number: int) -> Page:
        # Each page is another request: a server that knows the key of the first would answer with the first page again.
        call = _turn_to(first, turn, self._parameters, suffix="" if number == 1 else f"-{number}")
        response = await self._caller.exchange(call)
        if not is_expected(response.status, self._parameters.expect):
            raise refuse_status(response, self._context)
        body = parse_json(response, self._context)
        items = [] if body is None else _search(self._paging.items, body, "items")
        if items is None:
            items = []
        if not isinstance(items, list):
            raise FatalError(
                f"items: page {number} holds no list at {self._paging.items}; name the place of the list, such as data.items.",
                code="paging_items",
            )
        self._measure(items, number)
        return Page(response, body, items, number, len(self._items))

    def _measure(self, items: list[JsonValue], number: int) -> None:
        content = encode(items)
        self._size_bytes += len(content)
        most_bytes = self._context.limits.step_out_max_bytes
        if self._size_bytes > most_bytes:
            raise FatalError(
                f"The pages up to number {number} are larger than {format_size(most_bytes)} together; ask for less, set limit_items or "
                "limit_pages, or raise LIMIT_STEP_OUT_MAX.",
                code="output_too_large",
            )
        digest = hashlib.sha256(content).digest()
        if items and digest == self._last_content and isinstance(self._style, ByNumber | ByOffset):
            raise FatalError(
                f"Page {number} holds the same items as the page before it; the server does not know the query parameter of its number.",
                code="paging_loop",
            )
        self._last_content = digest

    def _refuse_known(self, turn: Turn, count: int) -> None:
        digest = hashlib.sha256(turn.mark.encode()).hexdigest()
        if digest in self._seen_marks:
            raise FatalError(f"After page {count} the server leads back to a page that was fetched before.", code="paging_loop")
        self._seen_marks.add(digest)


def _turn_to(first: Call, turn: Turn, parameters: RequestParameters, suffix: str) -> Call:
    body = first.body
    if turn.body_field and isinstance(parameters.json_body, dict):
        body = encode({**parameters.json_body, **turn.body_field})
    if turn.url is None:
        return replace(first, query={**first.query, **turn.query}, body=body, idempotency_suffix=suffix)
    # The URL of the next page has the query in it, and may lack what signs the caller in.
    named = {name for name, _ in parse_qsl(urlsplit(turn.url).query, keep_blank_values=True)}
    return replace(first, url=turn.url, query={}, body=body, idempotency_suffix=suffix, query_given=frozenset(named))


def _search(path: str, body: JsonValue, where: str) -> JsonValue:
    try:
        return find_in_body(path, body)
    except ValueError as error:
        raise FatalError(f"{where}: {path} cannot be used on the page ({error}).", code="paging_items") from None
