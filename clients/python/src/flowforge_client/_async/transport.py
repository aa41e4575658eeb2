"""Sending requests, and sending them again where that is safe."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from httpx2 import AsyncClient as AsyncHttp

from flowforge_client.errors import ConnectionLostError, read_error
from flowforge_client.values import FormFile, JsonValue
from flowforge_client.waiting import TRIES, find_pause_s, sleep_async

Question = Mapping[str, str | int | float | bool | Sequence[str] | None]

_TIMEOUT_S: Final = 30.0
_LONG_TIMEOUT_S: Final = 90.0
"""For requests that the server itself lets wait for up to a minute."""
_KEY: Final = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Access:
    """Where the server is, and what proves who asks."""

    url: str
    key: str | None
    workspace: str | None

    def list_headers(self) -> dict[str, str]:
        headers = {"accept": "application/json"}
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        if self.workspace is not None:
            headers["x-workspace"] = self.workspace
        return headers


class AsyncTransport:
    """One connection pool to one server.

    A request that changes nothing, or that has an idempotency key, is sent again after a lost connection and after 503; every request is
    after 429. The server says how long to wait; else it is twice as long each time.
    """

    def __init__(self, access: Access, http: AsyncHttp | None = None) -> None:
        self._http = http or AsyncHttp(timeout=httpx2.Timeout(_TIMEOUT_S, read=_LONG_TIMEOUT_S))
        self._url = access.url.rstrip("/")
        self._headers = access.list_headers()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Question | None = None,
        headers: Mapping[str, str | int | None] | None = None,
        json: Any = None,
        content: bytes | None = None,
        file: FormFile | None = None,
    ) -> JsonValue:
        """What the server answers, as JSON; None where it answers nothing.

        Raises:
            ApiError: the server refuses, or fails.
            ConnectionLostError: it cannot be reached.
        """
        answer = await self.send(method, path, query=query, headers=headers, json=json, content=content, file=file)
        return answer.json() if answer.content else None

    async def ask_text(
        self, method: str, path: str, *, query: Question | None = None, headers: Mapping[str, str | int | None] | None = None
    ) -> str:
        """What the server answers, as text. Raises as `ask`."""
        return (await self.send(method, path, query=query, headers=headers)).text

    async def ask_bytes(
        self,
        method: str,
        path: str,
        *,
        query: Question | None = None,
        headers: Mapping[str, str | int | None] | None = None,
        json: Any = None,
    ) -> bytes:
        """What the server answers, byte for byte. Raises as `ask`."""
        return (await self.send(method, path, query=query, headers={**(headers or {}), "Accept": "*/*"}, json=json)).content

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Question | None = None,
        headers: Mapping[str, str | int | None] | None = None,
        json: Any = None,
        content: bytes | None = None,
        file: FormFile | None = None,
    ) -> httpx2.Response:
        """The answer itself. Raises as `ask`."""
        known = {name: str(value) for name, value in (headers or {}).items() if value is not None}
        request = self._http.build_request(
            method,
            self._url + path,
            params=_list_query(query),
            headers={**self._headers, **known},
            json=json,
            content=content,
            files=None if file is None else {"file": file},
        )
        is_safe = method == "GET" or _KEY in known
        number = 1
        while True:
            pause_s = find_pause_s(number, None)
            try:
                answer = await self._http.send(request)
            except httpx2.TransportError as fault:
                if not is_safe or number >= TRIES:
                    raise ConnectionLostError(f"{self._url} cannot be reached: {fault or type(fault).__name__}.") from fault
            else:
                if answer.is_success:
                    return answer
                if not (answer.status_code == 429 or (is_safe and answer.status_code == 503)) or number >= TRIES:
                    raise read_error(answer.status_code, _read_json(answer), answer.headers.get("x-request-id", ""))
                pause_s = find_pause_s(number, answer.headers.get("retry-after"))
            await sleep_async(pause_s)
            number += 1

    @asynccontextmanager
    async def stream(self, path: str, query: Question) -> AsyncGenerator[httpx2.Response]:
        """A stream of server-sent events.

        Raises:
            ApiError: the server refuses it.
            httpx2.TransportError: the connection is lost; whoever reads knows where to go on.
        """
        headers = {**self._headers, "accept": "text/event-stream"}
        async with self._http.stream("GET", self._url + path, params=_list_query(query), headers=headers) as answer:
            if not answer.is_success:
                await answer.aread()
                raise read_error(answer.status_code, _read_json(answer), answer.headers.get("x-request-id", ""))
            yield answer


def _list_query(query: Question | None) -> list[tuple[str, str | int | float | bool | None]]:
    """The query's pairs: None is left out, a list is repeated."""
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in (query or {}).items():
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, str | int | float):
            pairs.append((name, str(value)))
        elif value is not None:
            pairs.extend((name, each) for each in value)
    return pairs


def _read_json(answer: httpx2.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
