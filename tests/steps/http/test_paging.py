"""Lists that come page by page."""

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.steps.http.calls import SECRET, call, refuse
from tests.support.attempts import Attempts
from tests.support.servers import EffectServer, Received, Reply, json_reply

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.steps.http.request import request as http_request

NUMBERS: list[JsonValue] = list(range(7))


def read_query(request: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}


def give_links(request: Received) -> Reply:
    number = int(read_query(request).get("page", "1"))
    items = NUMBERS[(number - 1) * 3 : number * 3]
    links = f'</list?page={number + 1}&size=3>; rel="next"' if number < 3 else '</list>; rel="first"'
    return Reply(headers=(("Content-Type", "application/json"), ("Link", links)), body=json.dumps(items).encode())


def give_cursors(request: Received) -> Reply:
    after = read_query(request).get("after") or (json.loads(request.body).get("after") if request.body else None)
    start = int(after or 0)
    more = str(start + 3) if start + 3 < len(NUMBERS) else None
    return json_reply({"data": {"list": NUMBERS[start : start + 3]}, "meta": {"next": more}})


def give_numbers(request: Received) -> Reply:
    number = int(read_query(request)["p"])
    return json_reply(NUMBERS[number * 3 : number * 3 + 3])


def give_offsets(request: Received) -> Reply:
    query = read_query(request)
    # The server gives fewer than it is asked for.
    return json_reply(NUMBERS[int(query["skip"]) :][: min(int(query.get("take", "2")), 2)])


def give_next_urls(request: Received) -> Reply:
    start = int(read_query(request).get("from", "0"))
    body: JsonObject = {"value": NUMBERS[start : start + 3]}
    if start + 3 < len(NUMBERS):
        body["@odata.nextLink"] = f"http://api.example/list?from={start + 3}"
    return json_reply(body)


STYLES: dict[str, tuple[Callable[[Received], Reply], JsonObject, int]] = {
    "link": (give_links, {"link": True}, 3),
    "link in the body": (give_next_urls, {"link": '"@odata.nextLink"', "items": "value"}, 3),
    "cursor": (give_cursors, {"cursor": {"from": "meta.next", "query": "after"}, "items": "data.list"}, 3),
    "page": (give_numbers, {"page": {"query": "p", "start": 0}}, 4),
    "offset": (give_offsets, {"offset": {"query": "skip", "limit_query": "take", "size": 5}}, 5),
}


@pytest.mark.parametrize(("answer", "paging", "pages"), STYLES.values(), ids=STYLES.keys())
async def test_all_pages_are_joined(
    answer: Callable[[Received], Reply], paging: JsonObject, pages: int, attempts: Attempts, server: EffectServer
):
    server.on("/list", answer)
    output = await call(attempts, http_request, "/list", paging=paging, query={"kind": "a"})
    assert (output["items"], output["page_count"], output["is_complete"], output["body"]) == (NUMBERS, pages, True, None)


@pytest.mark.parametrize(("answer", "paging", "pages"), STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize(
    ("limits", "count", "is_complete"),
    [
        ({"limit_pages": 2}, None, False),
        ({"limit_items": 4}, 4, False),
        ({"limit_items": 6}, 6, False),
        ({"limit_items": 8}, 7, True),
    ],
)
async def test_a_limit_that_cuts_is_told(
    answer: Callable[[Received], Reply],
    paging: JsonObject,
    pages: int,
    limits: JsonObject,
    count: int | None,
    is_complete: bool,
    attempts: Attempts,
    server: EffectServer,
):
    server.on("/list", answer)
    output = await call(attempts, http_request, "/list", paging={**paging, **limits})
    items = output["items"]
    assert isinstance(items, list)
    assert items == NUMBERS[: len(items)]
    assert (len(items) if count else None, output["is_complete"]) == (count, is_complete)
    assert len(server.received) == output["page_count"]
    assert len(server.received) <= pages


async def test_a_cursor_may_go_into_the_body_and_each_page_has_a_key_of_its_own(attempts: Attempts, server: EffectServer):
    server.on("/list", give_cursors)
    paging: JsonObject = {"cursor": {"from": "meta.next", "json": "after"}, "items": "data.list"}
    output = await call(attempts, http_request, "/list", method="POST", json={"kind": "a"}, paging=paging)
    assert output["items"] == NUMBERS
    assert [json.loads(sent.body) for sent in server.received] == [
        {"kind": "a"},
        {"kind": "a", "after": "3"},
        {"kind": "a", "after": "6"},
    ]
    assert set(server.deliveries) == {"key-1", "key-1-2", "key-1-3"}


async def test_credentials_go_along_to_each_page(attempts: Attempts, server: EffectServer):
    server.on("/list", give_links)
    await call(attempts, http_request, "/list", paging={"link": True}, auth={"api_key": {"query": "key", "value": SECRET}})
    assert [read_query(sent)["key"] for sent in server.received] == [SECRET] * 3
    await call(attempts, http_request, "/list", paging={"link": True}, auth={"bearer": SECRET}, query={"size": 3})
    assert [sent.headers["authorization"] for sent in server.received[3:]] == [f"Bearer {SECRET}"] * 3
    assert [sent.target.count("size=") for sent in server.received[3:]] == [1] * 3


@pytest.mark.parametrize(
    "target",
    ["http://other.example:8080/list", "http://api.example:8080/", "https://api.example/list", "//127.0.0.1/"],
)
async def test_a_next_page_on_another_host_is_refused(
    target: str, attempts: Attempts, server: EffectServer, other_server: EffectServer
):
    server.on("/list", Reply(headers=(("Content-Type", "application/json"), ("Link", f"<{target}>; rel=next")), body=b"[1]"))
    error = await refuse(attempts, http_request, "/list", paging={"link": True}, auth={"bearer": SECRET})
    assert error.code == "paging_other_host"
    assert (len(server.received), other_server.received) == (1, [])


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://user@api.example/"])
async def test_net_11_a_next_page_that_is_no_http_is_refused(target: str, attempts: Attempts, server: EffectServer):
    server.on("/list", json_reply({"next": target, "items": [1]}))
    error = await refuse(attempts, http_request, "/list", paging={"link": "next", "items": "items"})
    assert error.code in {"scheme", "url_invalid"}


LOOPS: dict[str, tuple[JsonValue, JsonObject]] = {
    "link": ({"items": [1], "next": "/list?x=1"}, {"link": "next"}),
    "cursor": ({"items": [1], "next": "c"}, {"cursor": {"from": "next", "query": "c"}}),
    "page": ({"items": [1, 2]}, {"page": {"query": "p"}}),
    "offset": ({"items": [1, 2]}, {"offset": {"query": "o"}}),
}


@pytest.mark.parametrize(("body", "paging"), LOOPS.values(), ids=LOOPS.keys())
async def test_a_page_that_comes_again_ends_in_an_error(
    body: JsonValue, paging: JsonObject, attempts: Attempts, server: EffectServer
):
    server.on("/list", json_reply(body))
    error = await refuse(attempts, http_request, "/list", paging={**paging, "items": "items"})
    assert (error.code, len(server.received)) == ("paging_loop", 2)


@pytest.mark.parametrize("stop", [True, False])
async def test_an_empty_page_is_the_end_only_where_that_is_asked_for(stop: bool, attempts: Attempts, server: EffectServer):
    pages: dict[str, JsonValue] = {"": {"items": [], "next": "b"}, "b": {"items": [1], "next": None}}
    server.on("/list", lambda request: json_reply(pages[read_query(request).get("c", "")]))
    paging: JsonObject = {"cursor": {"from": "next", "query": "c"}, "items": "items", "stop_when_empty": stop}
    output = await call(attempts, http_request, "/list", paging=paging)
    assert output["items"] == ([] if stop else [1])


async def test_the_whole_may_not_be_larger_than_an_output(attempts: Attempts, server: EffectServer):
    attempts.limits = Limits(step_out_max_bytes=2_000)
    server.on("/list", lambda request: json_reply([read_query(request)["p"] * 500]))
    error = await refuse(attempts, http_request, "/list", paging={"page": {"query": "p"}})
    assert (error.code, len(server.received)) == ("output_too_large", 4)


@pytest.mark.parametrize(
    ("body", "paging"),
    [
        ({"items": {"a": 1}}, {"page": {"query": "p"}, "items": "items"}),
        ("text", {"page": {"query": "p"}}),
        ([1], {"page": {"query": "p"}, "items": "length(keys(@))"}),
        ({"items": [1], "next": 3}, {"link": "next", "items": "items"}),
        ({"items": [1], "next": [3]}, {"cursor": {"from": "next", "query": "c"}, "items": "items"}),
    ],
)
async def test_a_page_without_a_list_is_told(body: JsonValue, paging: JsonObject, attempts: Attempts, server: EffectServer):
    server.on("/list", json_reply(body))
    assert (await refuse(attempts, http_request, "/list", paging=paging)).code == "paging_items"


async def test_a_page_that_fails_fails_the_step(attempts: Attempts, server: EffectServer):
    server.on("/list", lambda request: json_reply([1], 200) if read_query(request)["p"] == "1" else json_reply(None, 503))
    assert (await refuse(attempts, http_request, "/list", paging={"page": {"query": "p"}})).code == "http_503"


FAULTY: dict[str, JsonObject] = {
    "no style": {"paging": {}},
    "two styles": {"paging": {"link": True, "page": {"query": "p"}}},
    "no place for the cursor": {"paging": {"cursor": {"from": "a"}}},
    "no path": {"paging": {"cursor": {"from": "a..b[", "query": "c"}}},
    "a path that is nested too deeply": {"paging": {"link": "(" * 999}},
    "too many pages": {"paging": {"link": True, "limit_pages": 10_001}},
    "too many items": {"paging": {"link": True, "limit_items": 100_001}},
    "a method": {"paging": {"link": True}, "method": "PUT"},
    "no JSON": {"paging": {"link": True}, "response": "text"},
    "a cursor without a body": {"paging": {"cursor": {"from": "a", "json": "b"}}},
    "with if_changed": {"paging": {"link": True}, "if_changed": {}},
}


@pytest.mark.parametrize("parameters", FAULTY.values(), ids=FAULTY.keys())
def test_faulty_paging_is_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(http_request, {"url": "http://api.example/", **parameters})
