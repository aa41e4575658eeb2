"""The connection of one command to its server."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, cast

import httpx2

from flowforge.entrypoints.cli.frame import Frame, ServerAddress
from flowforge.entrypoints.cli.logins import Login, check_address, find_login, find_logins_file, store_login
from flowforge.entrypoints.cli.output import Output
from flowforge.entrypoints.cli.remote.refusals import make_refusal
from flowforge.kit.errors import DependencyError
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue

Query = Mapping[str, str | int | bool | Sequence[str] | None]

_TIMEOUT_S: Final = 90.0
_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 0.2
_PAGE: Final = 200
_KEY: Final = "Idempotency-Key"


class Server:
    """A server, as a command uses it. `limits`: for what is read on this side; the server has its own."""

    def __init__(self, frame: Frame, client: httpx2.Client, login: Login | None, address: str) -> None:
        self.frame = frame
        self.limits = Limits()
        self._client = client
        self._login = login
        self._address = address

    @property
    def output(self) -> Output:
        return self.frame.output

    def get(self, path: str, query: Query | None = None) -> JsonObject:
        """The object that a route answers. Raises as `send`."""
        return cast("JsonObject", self.ask("GET", path, query=query))

    def ask(
        self,
        method: str,
        path: str,
        body: JsonValue = None,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JsonValue:
        """What a route answers, as JSON; None where it answers nothing. Raises as `send`."""
        answer = self.send(method, path, body, query=query, headers=headers)
        return _read_json(answer) if answer.content else None

    def list_rows(self, path: str, query: Query | None = None) -> list[JsonObject]:
        """All rows of a list. Raises as `send`."""
        return self.list_some(path, query)[0]

    def list_some(
        self, path: str, query: Query | None = None, *, limit: int | None = None, cursor: str | None = None
    ) -> tuple[list[JsonObject], str | None]:
        """Rows of a list, page by page, at most `limit`; and the cursor where there are more. Raises as `send`."""
        rows: list[JsonObject] = []
        while True:
            size = _PAGE if limit is None else min(_PAGE, limit - len(rows))
            page = self.get(path, {**(query or {}), "limit": size, "cursor": cursor})
            rows += cast("list[JsonObject]", page["data"])
            cursor = cast("str | None", page.get("next_cursor"))
            if cursor is None or (limit is not None and len(rows) >= limit):
                return rows, cursor

    def upload(self, path: str, name: str, data: bytes, media_type: str) -> JsonObject:
        """What a route answers that takes a file. Raises as `send`."""
        request = self._client.build_request(
            "POST", f"/api/v1{path}", files={"file": (name, data, media_type)}, headers=self._list_headers(None)
        )
        try:
            answer = self._client.send(request)
        except httpx2.TransportError as fault:
            raise self._explain_silence(fault) from fault
        if not answer.is_success:
            raise make_refusal(answer.status_code, _find_json(answer), answer.headers.get("x-request-id", ""))
        return cast("JsonObject", _read_json(answer))

    def send(
        self,
        method: str,
        path: str,
        body: JsonValue = None,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """The answer to one request below /api/v1.

        What changes nothing, or has an idempotency key, is sent again where the connection is lost or the server says that it cannot now.

        Raises:
            FlowForgeError: the server refuses, each status as the error that the data folder would give.
            DependencyError: it cannot be reached.
        """
        has_renewed = False
        is_safe = method == "GET" or _KEY in (headers or {})
        number = 0
        while True:
            number += 1
            pause_s = _FIRST_PAUSE_S * 2**number
            try:
                answer = self._client.send(self._make_request(method, path, body, query, headers))
            except httpx2.TransportError as fault:
                if not is_safe or number >= _TRIES:
                    raise self._explain_silence(fault) from fault
            else:
                if answer.is_success:
                    return answer
                if answer.status_code == 401 and not has_renewed and self._renew():
                    has_renewed = True
                    continue
                if answer.status_code not in {429, 503} or not (is_safe or answer.status_code == 429) or number >= _TRIES:
                    raise make_refusal(answer.status_code, _find_json(answer), answer.headers.get("x-request-id", ""))
                pause_s = _read_pause_s(answer, pause_s)
            time.sleep(pause_s)

    def _make_request(
        self, method: str, path: str, body: JsonValue, query: Query | None, headers: Mapping[str, str] | None
    ) -> httpx2.Request:
        known = self._list_headers(headers)
        return self._client.build_request(method, f"/api/v1{path}", params=_list_query(query), headers=known, json=body)

    def _list_headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        proof = {} if self._login is None else {"authorization": f"Bearer {self._login.token}"}
        return {**(headers or {}), **proof}

    def _explain_silence(self, fault: httpx2.TransportError) -> DependencyError:
        return DependencyError(f"The server {self._address} cannot be reached: {fault or type(fault).__name__}.")

    def _renew(self) -> bool:
        """Whether a new access token was given for the refresh token that `login` has stored."""
        login = self._login
        if login is None or login.refresh_token is None:
            return False
        try:
            answer = self._client.post("/api/v1/auth/refresh", json={"refresh_token": login.refresh_token})
        except httpx2.TransportError as fault:
            raise self._explain_silence(fault) from fault
        told = _find_json(answer)
        if not answer.is_success or not isinstance(told, dict):
            return False
        self._login = Login(str(told["access_token"]), str(told["refresh_token"]))
        store_login(find_logins_file(self.frame.environ), self._address, self._login)
        return True


@contextmanager
def open_server(frame: Frame, named: ServerAddress) -> Generator[Server]:
    """The server that the call names, with the token of the call or else what `flowforge login` has stored for it.

    Raises:
        UsageError: the address is none.
    """
    address = check_address(named.url)
    login = Login(named.token) if named.token is not None else find_login(find_logins_file(frame.environ), address)
    headers = {} if named.workspace is None else {"x-workspace": named.workspace}
    with httpx2.Client(base_url=address, timeout=_TIMEOUT_S, headers=headers) as client:
        yield Server(frame, client, login, address)


def _list_query(query: Query | None) -> list[tuple[str, str | int | float | bool | None]]:
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in (query or {}).items():
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, str | int):
            pairs.append((name, str(value)))
        elif value is not None:
            pairs.extend((name, each) for each in value)
    return pairs


def _read_pause_s(answer: httpx2.Response, otherwise_s: float) -> float:
    told = answer.headers.get("retry-after", "")
    return min(float(told), 60.0) if told.isascii() and told.isdigit() else otherwise_s


def _find_json(answer: httpx2.Response) -> JsonValue:
    try:
        return cast("JsonValue", answer.json())
    except ValueError:
        return None


def _read_json(answer: httpx2.Response) -> JsonValue:
    try:
        return cast("JsonValue", answer.json())
    except ValueError:
        raise DependencyError("What answers at that address is no FlowForge server.") from None
