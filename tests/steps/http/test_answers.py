"""What comes back: files, sizes, names, conditions."""

import pytest
from tests.steps.http.calls import call, facts_of, refuse
from tests.support.attempts import Attempts
from tests.support.servers import EffectServer, Received, Reply, json_reply, send_endlessly

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject
from flowforge.steps.http.header_values import find_file_name, find_link, list_challenges
from flowforge.steps.http.request import request as http_request


def count_stored(attempts: Attempts) -> int:
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    return len(list(objects.list_objects()))


async def test_a_file_larger_than_a_body_may_be_is_stored(attempts: Attempts, server: EffectServer):
    data = b"0123456789abcdef" * (11 * 2**16)
    server.on("/big", Reply(headers=(("Content-Type", "application/zip"),), body=data))
    assert (await refuse(attempts, http_request, "/big")).code == "response_too_large"
    output = await call(attempts, http_request, "/big", response="file")
    facts = facts_of(output["body"])
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    assert objects.read(str(facts["id"])) == data
    assert (facts["name"], facts["media_type"], facts["size"]) == ("big", "application/zip", len(data))


@pytest.mark.parametrize("response", ["file", "text", "base64"])
async def test_an_answer_above_max_size_is_refused_and_leaves_nothing(response: str, attempts: Attempts, server: EffectServer):
    server.on("/", Reply(body=b"x" * 2_000))
    assert (await refuse(attempts, http_request, response=response, max_size=1_999)).code == "response_too_large"
    assert count_stored(attempts) == 0
    assert (await call(attempts, http_request, response=response, max_size="2000B"))["status"] == 200


async def test_f52_an_endless_file_is_cut(attempts: Attempts, server: EffectServer):
    server.on("/", send_endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536))
    error = await refuse(attempts, http_request, response="file", max_size="1MiB")
    assert (error.code, count_stored(attempts)) == ("response_too_large", 0)


async def test_a_status_is_refused_before_a_file_is_stored(attempts: Attempts, server: EffectServer):
    server.on("/", json_reply({"why": "no"}, 404))
    error = await refuse(attempts, http_request, response="file")
    assert error.code == "http_404"
    assert isinstance(error.details, dict)
    assert (error.details["body"], count_stored(attempts)) == ({"why": "no"}, 0)


async def test_f56_half_a_file_is_not_kept(attempts: Attempts, server: EffectServer):
    server.on("/", Reply(headers=(("Content-Length", "100"),), body=b"half"))
    server.on("/", lambda _: Reply(headers=(("Content-Length", "100"), ("Connection", "close")), body=b"half"))
    error = await refuse(attempts, http_request, response="file")
    assert (error.code in {"connection_failed", "http_timeout"}, count_stored(attempts)) == (True, 0)


@pytest.mark.parametrize(
    ("disposition", "url", "name"),
    [
        (None, "http://x/a/b%20c.pdf?x=/y", "b c.pdf"),
        (None, "http://x/", "response"),
        ("attachment", "http://x/a.txt", "a.txt"),
        ("attachment; filename=plain.txt", "http://x/", "plain.txt"),
        ('attachment; filename="a \\"b\\"; c.txt"', "http://x/", 'a "b"; c.txt'),
        ("attachment; filename=\"x.txt\"; filename*=UTF-8''na%C3%AFve%20file.txt", "http://x/", "naïve file.txt"),
        ("attachment; filename*=iso-8859-1'en'%A3.txt; filename=x", "http://x/", "£.txt"),
        ("attachment; filename*=utf-7''+AC8-; filename=x", "http://x/", "x"),
        ('attachment; filename="gr\u00c3\u00b6\u00c3\u009fe.txt"', "http://x/", "größe.txt"),
        ('ATTACHMENT; FILENAME="A.TXT"', "http://x/", "A.TXT"),
    ],
)
def test_a_file_name_is_read_as_rfc_6266_says(disposition: str | None, url: str, name: str):
    assert find_file_name(disposition, url) == name


async def test_a08_a_file_name_leads_nowhere(attempts: Attempts, server: EffectServer):
    server.on("/", Reply(headers=(("Content-Disposition", 'attachment; filename="../../etc/pass\\\\wd\x01"'),), body=b"x"))
    name = facts_of((await call(attempts, http_request, response="file"))["body"])["name"]
    assert name == "wd"


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ("<https://x/2>; rel=next", "https://x/2"),
        ('<https://x/1>; rel="prev", <https://x/3?a=1,2;b>; rel="last next"', "https://x/3?a=1,2;b"),
        ('<https://x/9>; title="a, <b>; rel=next"; rel="first"', None),
        ('<https://x/9>; rel="next"; anchor="https://y/"', None),
        ("<>; REL=NEXT", ""),
        ("https://x/2; rel=next", None),
        ("", None),
        (None, None),
        ('<a>; rel="next', None),
    ],
)
def test_links_are_read_as_rfc_8288_says(header: str | None, target: str | None):
    assert find_link(header, "next") == target


def test_challenges_are_read_as_rfc_9110_says():
    header = 'Basic realm="a, b", Digest realm="x", nonce="n=", qop="auth,auth-int", algorithm=MD5, Negotiate, Bearer'
    assert list_challenges(header) == [
        ("basic", {"realm": "a, b"}),
        ("digest", {"realm": "x", "nonce": "n=", "qop": "auth,auth-int", "algorithm": "MD5"}),
        ("negotiate", {}),
        ("bearer", {}),
    ]


def _answer_with_version(request: Received) -> Reply:
    headers = (("ETag", '"v2"'), ("Content-Type", "application/json"))
    return Reply(304, headers) if request.headers.get("if-none-match") == '"v2"' else Reply(200, headers, b"[1]")


@pytest.mark.parametrize("response", ["auto", "file"])
async def test_an_unchanged_answer_is_no_error(response: str, attempts: Attempts, server: EffectServer):
    server.on("/", _answer_with_version)
    first = await call(attempts, http_request, response=response, if_changed={"etag": None})
    assert (first["status"], first["is_changed"]) == (200, True)
    headers = first["headers"]
    assert isinstance(headers, dict)
    again = await call(attempts, http_request, response=response, if_changed={"etag": headers["etag"]}, expect=200)
    assert (again["status"], again["is_changed"], again["body"]) == (304, False, None)
    assert (await call(attempts, http_request, if_changed={"etag": '"v1"'}))["is_changed"] is True


async def test_the_time_of_the_last_change_is_sent(attempts: Attempts, server: EffectServer):
    when = "Wed, 21 Oct 2015 07:28:00 GMT"
    await call(attempts, http_request, if_changed={"modified": when})
    assert server.received[0].headers["if-modified-since"] == when


async def test_what_was_not_asked_for_is_not_in_the_output(attempts: Attempts):
    output: JsonObject = await call(attempts, http_request)
    assert set(output) == {"status", "headers", "body", "url"}


@pytest.mark.parametrize("header", ['"' * 60_000, "<" * 60_000, "a=," * 40_000, "\\" * 100_000, "Digest " + "a=" * 60_000])
def test_a_hostile_header_is_read_in_no_time(header: str):
    assert find_link(header, "next") is None
    assert find_file_name(header, "http://x/") == "response"
    assert list_challenges(header) is not None
