"""From parameters to requests: signed in, sent through the guarded client, faults told as a step's errors."""

from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from flowforge.kit.egress import (
    BodySource,
    ClientCertificate,
    EgressClient,
    EgressError,
    EgressRequest,
    EgressResponse,
    EgressStream,
)
from flowforge.operations import ErrorCode, OperationContext
from flowforge.steps.http.digest_auth import Challenge, Use, answer_challenge, find_challenge
from flowforge.steps.http.fields import Fields, add_query, write_scalar
from flowforge.steps.http.oauth import OAUTH_ERRORS, Token, TokenCache
from flowforge.steps.http.parameters import CallParameters
from flowforge.steps.http.receiving import read_all
from flowforge.steps.http.signing_models import Auth, DigestAuth, OAuth2Auth
from flowforge.steps.outbound import OUTBOUND_ERRORS, explain_egress

CALL_ERRORS: Final = (
    ErrorCode(
        "http_<status>",
        "The server answered with this status, which is not expected; retried for 408, 425, 429 and 5xx.",
        retryable=True,
    ),
    *OUTBOUND_ERRORS,
    *OAUTH_ERRORS,
)
"""What every operation for HTTP can raise."""


def find_host(parameters: Mapping[str, Any]) -> str:
    """The host that a call's parameters lead to, for the effects ledger and for secrets that are bound to hosts.

    Raises:
        ValueError: the URL cannot be read; or tokens come from another host, so that there are two, and a bound secret may go to neither.
    """
    # Start-up cost: the parser's library takes 70 ms to import. Another parser might see another host, and hand it a bound secret.
    from flowforge.kit.egress.urls import parse_target

    auth: Mapping[str, Any] = parameters.get("auth") or {}
    oauth2: Mapping[str, Any] | None = auth.get("oauth2")
    urls = [str(parameters["url"]), *([] if oauth2 is None else [str(oauth2["token_url"])])]
    try:
        hosts = {parse_target(url).host for url in urls}
    except EgressError as error:
        raise ValueError(error.message) from error
    if len(hosts) > 1:
        raise ValueError("the token's host is another one than the URL's")
    return hosts.pop()


def is_same_origin(one: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common, as the client reads them. Raises EgressError for what is no URL."""
    # Start-up cost, as above.
    from flowforge.kit.egress.urls import parse_target

    return parse_target(one).origin == parse_target(other).origin


Body = bytes | BodySource


@dataclass(frozen=True, slots=True)
class Call:
    """One request, before it is signed.

    `idempotency_suffix` tells requests of one attempt apart that are not the same. `query_given` names query parameters that the URL has
    already. With `is_signed` false neither the parameters' headers nor what signs in go along: the host is another one.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Fields = field(default_factory=Fields)
    body: Body | None = None
    idempotency_suffix: str = ""
    query_given: frozenset[str] = frozenset()
    is_signed: bool = True


class Caller:
    """Sends the calls of one attempt. One that gets 401 is signed anew and sent once more, where that can help."""

    def __init__(self, parameters: CallParameters, context: OperationContext) -> None:
        self._parameters = parameters
        self._context = context
        self._client = context.service(EgressClient)
        self._token: Token | None = None
        self._challenge: Challenge | None = None
        self._challenge_uses = 0
        given = parameters.client_certificate
        self._certificate = None if given is None else ClientCertificate(given.certificate, given.key, given.password)

    async def exchange(self, call: Call, *, max_bytes: int | None = None) -> EgressResponse:
        """The complete answer, whatever its status, of at most `max_bytes` (LIMIT_HTTP_BODY unless given).

        LIMIT_HTTP_TOTAL bounds the time; of a body that is sent piece by piece, LIMIT_HTTP_IDLE that between two pieces.

        Raises:
            FatalError, RetryableError: with a code of CALL_ERRORS.
        """
        if isinstance(call.body, BodySource) or max_bytes is not None:
            async with self.open(call, max_bytes=max_bytes or self._context.limits.http_body_bytes) as stream:
                return await read_all(stream, self._context.limits)
        try:
            response = await self._client.send(await self._sign(call))
            if call.is_signed and self._can_sign_anew(response.status, response.headers, response.url):
                response = await self._client.send(await self._sign(call))
        except EgressError as error:
            raise explain_egress(error) from error
        return response

    @asynccontextmanager
    async def open(self, call: Call, *, max_bytes: int) -> AsyncGenerator[EgressStream]:
        """The answer as soon as its headers are there; its body, of at most `max_bytes`, is read inside the block. Raises as `exchange`."""
        try:
            async with AsyncExitStack() as stack:
                stream = await stack.enter_async_context(self._client.stream(await self._sign(call), max_bytes=max_bytes))
                if call.is_signed and self._can_sign_anew(stream.status, stream.headers, stream.url):
                    await stack.aclose()
                    stream = await stack.enter_async_context(self._client.stream(await self._sign(call), max_bytes=max_bytes))
                yield stream
        except EgressError as error:
            raise explain_egress(error) from error

    async def _sign(self, call: Call) -> EgressRequest:
        own = self._parameters.headers if call.is_signed else {}
        headers = {name: write_scalar(value) for name, value in own.items() if value is not None}
        given = {name.lower() for name in headers}
        headers |= {name: value for name, value in call.headers.items() if name.lower() not in given}
        if "idempotency-key" not in given:
            headers["Idempotency-Key"] = self._context.idempotency_key + call.idempotency_suffix
        auth = self._parameters.auth if call.is_signed else None
        query = dict(call.query)
        _sign_plainly(auth, headers, query)
        url = add_query(call.url, {name: value for name, value in query.items() if name not in call.query_given})
        if auth is not None and auth.oauth2 is not None:
            headers["Authorization"] = await self._fetch_token(auth.oauth2)
        elif auth is not None and auth.digest is not None and self._challenge is not None:
            headers["Authorization"] = self._answer(self._challenge, auth.digest, call.method, url)
        return EgressRequest(
            method=call.method,
            url=url,
            headers=tuple(headers.items()),
            body=call.body,
            depth=self._context.depth,
            follows_redirects=self._parameters.follow_redirects,
            client_certificate=self._certificate if call.is_signed else None,
            authority_pem=self._parameters.authority,
            http2=self._parameters.http2,
        )

    async def _fetch_token(self, grant: OAuth2Auth) -> str:
        self._token = await self._context.service(TokenCache).get(grant, self._client.send)
        self._context.masker.add(self._token.value)
        return f"Bearer {self._token.value}"

    def _answer(self, challenge: Challenge, auth: DigestAuth, method: str, url: str) -> str:
        # Start-up cost, as above.
        from flowforge.kit.egress.urls import parse_target

        self._challenge_uses += 1
        use = Use(method, parse_target(url).path.decode("ascii"), self._challenge_uses, self._context.idempotency_key)
        return answer_challenge(challenge, auth.user, auth.password, use)

    def _can_sign_anew(self, status: int, headers: Mapping[str, str], url: str) -> bool:
        """Whether the answer is a 401 of the host that the credentials are for, and others can be had."""
        auth = self._parameters.auth
        if status != 401 or auth is None or not is_same_origin(url, self._parameters.url):
            return False
        if auth.oauth2 is not None and self._token is not None:
            self._context.service(TokenCache).drop(auth.oauth2, self._token.value)
            return not self._token.is_fresh
        if auth.digest is not None:
            self._challenge, self._challenge_uses = find_challenge(headers.get("www-authenticate")), 0
            return self._challenge is not None
        return False


def _sign_plainly(auth: Auth | None, headers: dict[str, str], query: Fields) -> None:
    if auth is None:
        return
    if auth.bearer is not None:
        headers["Authorization"] = f"Bearer {auth.bearer}"
    elif auth.basic is not None:
        headers["Authorization"] = "Basic " + b64encode(f"{auth.basic.user}:{auth.basic.password}".encode()).decode()
    elif auth.api_key is not None and auth.api_key.header is not None:
        headers[auth.api_key.header] = auth.api_key.value
    elif auth.api_key is not None and auth.api_key.query is not None:
        query[auth.api_key.query] = auth.api_key.value
