import asyncio
import http.client

from tests.support.servers import EffectServer, serve_http, serve_in_thread


def send(server: EffectServer, key: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("POST", "/effect", b"{}", {"Idempotency-Key": key})
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_server_in_a_thread_counts_deliveries_and_effects():
    with serve_in_thread() as server:
        assert [send(server, key) for key in ("a", "b", "a")] == [200, 200, 200]
        assert (server.deliveries, server.effects, len(server.received)) == ({"a": 2, "b": 1}, 2, 3)


def test_the_server_fails_as_often_as_told_and_the_same_way_each_time():
    def collect() -> list[int]:
        with serve_in_thread() as server:
            server.fail_ratio = 0.5
            return [send(server, str(number)) for number in range(20)]

    first = collect()
    assert {200, 503} == set(first)
    assert collect() == first


async def test_the_server_ends_with_its_block_also_while_a_client_is_connected():
    async with serve_http() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 Status\r\n"
    rest = await reader.read()
    writer.close()
    assert rest.endswith(b'{"ok": true}')
