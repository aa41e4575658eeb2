"""What is asked of a provider over the network: discovery, its keys, and a token for a code. Nothing is followed, nothing large is read."""

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, KeySet, OKPKey, RSAKey

from flowforge.identity.oidc_settings import Provider
from flowforge.kit.egress.client import EgressClient
from flowforge.kit.egress.messages import EgressRequest, EgressResponse, Headers
from flowforge.kit.errors import DependencyError, Detail

CALL_TIMEOUT_S: Final = 10.0
_DOCUMENT_MAX_BYTES: Final = 256 * 1024
_KEYS_MAX: Final = 100
_JSON: Final = ("Accept", "application/json")
_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"})
"""Signatures by a key that we do not have ourselves; what a provider announces beside these is not taken."""


class ProviderFailedError(DependencyError):
    """The provider cannot be asked now, or answers what makes no sense. Nobody is signed in."""

    def __init__(self, provider: Provider, what: str) -> None:
        message = f"The sign-in provider {provider.name} ({provider.issuer}) {what}; try again later, or ask an administrator."
        super().__init__(message, [Detail("", message, "provider_failed")])


class CodeRefusedError(Exception):
    """The provider does not take the code: it was used, has expired, or belongs to another client or verifier."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the provider says of itself (OpenID Connect Discovery 1.0). `issuer` is what its tokens must name, to the letter."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: frozenset[str]
    takes_basic: bool
    names_issuer: bool
    """It adds `iss` to its answers (RFC 9207)."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the provider gives for a code. `access_token`: for its userinfo endpoint; None: it gave none."""

    id_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A JSON object, and how long it may be kept; None: nothing is said about it."""

    value: dict[str, Any]
    max_age_s: float | None


class ProviderCalls:
    """The calls, through the guarded client: what EGRESS_ALLOW does not open is not reached."""

    def __init__(self, client: EgressClient, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def discover(self, provider: Provider) -> tuple[Discovery, float | None]:
        """What the provider says of itself, and for how many seconds that may be kept. Raises ProviderFailedError."""
        url = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        fetched = await self._fetch(provider, EgressRequest("GET", url, (_JSON,), follows_redirects=False))
        return _read_discovery(provider, fetched.value), fetched.max_age_s

    async def fetch_keys(self, provider: Provider, url: str) -> tuple[KeySet, float | None]:
        """The keys that the provider signs with, and for how many seconds they may be kept. Raises ProviderFailedError."""
        fetched = await self._fetch(provider, EgressRequest("GET", url, (_JSON,), follows_redirects=False))
        return _read_keys(provider, fetched.value), fetched.max_age_s

    async def exchange_code(
        self, provider: Provider, discovery: Discovery, *, code: str, verifier: str, redirect_uri: str
    ) -> Tokens:
        """The tokens for a code.

        Raises:
            CodeRefusedError: the provider does not take the code.
            ProviderFailedError: it cannot be asked, does not know us, or gives no ID token.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": provider.client_id,
        }
        headers: Headers = (_JSON, ("Content-Type", "application/x-www-form-urlencoded"))
        if provider.client_secret is not None and discovery.takes_basic:
            headers += (("Authorization", _make_basic(provider.client_id, provider.client_secret)),)
        elif provider.client_secret is not None:
            form["client_secret"] = provider.client_secret
        request = EgressRequest("POST", discovery.token_endpoint, headers, urlencode(form).encode(), follows_redirects=False)
        answer = await self._send(provider, request)
        told = _read_object(answer.body)
        if answer.status in {400, 401} and told.get("error") not in {"invalid_client", "unauthorized_client"}:
            raise CodeRefusedError
        token, access_token = told.get("id_token"), told.get("access_token")
        if answer.status != 200 or not isinstance(token, str):
            raise ProviderFailedError(provider, f"gave no ID token ({_name_fault(answer.status, told)})")
        return Tokens(token, access_token if isinstance(access_token, str) and access_token.isascii() else None)

    async def fetch_claims(self, provider: Provider, url: str, access_token: str) -> dict[str, Any]:
        """What the provider's userinfo endpoint says of a person (OpenID Connect Core 1.0, 5.3). Raises ProviderFailedError."""
        headers: Headers = (_JSON, ("Authorization", f"Bearer {access_token}"))
        return (await self._fetch(provider, EgressRequest("GET", url, headers, follows_redirects=False))).value

    async def _fetch(self, provider: Provider, request: EgressRequest) -> Fetched:
        answer = await self._send(provider, request)
        if answer.status != 200:
            raise ProviderFailedError(provider, f"answered {answer.status} to {request.url}")
        value = _read_object(answer.body)
        if not value:
            raise ProviderFailedError(provider, f"gave no JSON object at {request.url}")
        return Fetched(value, _read_max_age(answer.headers.get("cache-control", "")))

    async def _send(self, provider: Provider, request: EgressRequest) -> EgressResponse:
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(request, max_bytes=_DOCUMENT_MAX_BYTES) as answer,
            ):
                body = b"".join([piece async for piece in answer.iterate()])
                return EgressResponse(answer.status, answer.headers, body, answer.url)
        except TimeoutError:
            raise ProviderFailedError(provider, f"did not answer within {self._timeout_s:g} s") from None
        except ProviderFailedError:
            raise
        except DependencyError as fault:
            raise ProviderFailedError(provider, f"cannot be asked: {fault.message.rstrip('.')}") from fault


def _read_discovery(provider: Provider, value: dict[str, Any]) -> Discovery:
    issuer = value.get("issuer")
    # The setting has no slash at its end, which belongs to the name of some issuers.
    if issuer not in {provider.issuer, f"{provider.issuer}/"}:
        raise ProviderFailedError(provider, "calls itself by another issuer")
    algorithms = value.get("id_token_signing_alg_values_supported")
    methods = value.get("token_endpoint_auth_methods_supported")
    return Discovery(
        issuer=str(issuer),
        authorization_endpoint=_read_endpoint(provider, value, "authorization_endpoint"),
        token_endpoint=_read_endpoint(provider, value, "token_endpoint"),
        jwks_uri=_read_endpoint(provider, value, "jwks_uri"),
        userinfo_endpoint=_read_endpoint(provider, value, "userinfo_endpoint") if value.get("userinfo_endpoint") else None,
        algorithms=_ALGORITHMS & frozenset(_list_texts(algorithms) or ["RS256"]),
        takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        names_issuer=value.get("authorization_response_iss_parameter_supported") is True,
    )


def _read_endpoint(provider: Provider, value: dict[str, Any], name: str) -> str:
    url = value.get(name)
    schemes = {"https", urlsplit(provider.issuer).scheme}
    if not isinstance(url, str) or len(url) > 2_000 or urlsplit(url).scheme not in schemes or not urlsplit(url).hostname:
        raise ProviderFailedError(provider, f"names no {name} that can be used")
    return url


def _read_keys(provider: Provider, value: dict[str, Any]) -> KeySet:
    found: list[RSAKey | ECKey | OKPKey] = []
    listed = value.get("keys")
    for given in cast("list[Any]", listed)[:_KEYS_MAX] if isinstance(listed, list) else ():
        key = _read_key(given)
        if key is not None:
            found.append(key)
    if not found:
        raise ProviderFailedError(provider, "publishes no key that can be used")
    return KeySet([*found])


def _read_key(given: object) -> RSAKey | ECKey | OKPKey | None:
    """Public keys for signatures; a kind that we do not know is none (RFC 7517, section 5)."""
    if not isinstance(given, dict) or cast("dict[str, Any]", given).get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(cast("dict[str, Any]", given))
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _read_object(body: bytes) -> dict[str, Any]:
    """Empty where it is no JSON object."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list_texts(value: object) -> list[str]:
    return [text for text in cast("list[object]", value) if isinstance(text, str)] if isinstance(value, list) else []


def _read_max_age(header: str) -> float | None:
    for part in header.lower().split(","):
        name, _, value = part.strip().partition("=")
        if name in {"no-store", "no-cache"}:
            return 0.0
        if name == "max-age" and value.isascii() and value.isdigit():
            return float(value[:9])
    return None


def _make_basic(client_id: str, client_secret: str) -> str:
    # RFC 6749, 2.3.1: both are form-encoded first.
    return "Basic " + b64encode(f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}".encode()).decode()


def _name_fault(status: int, told: dict[str, Any]) -> str:
    error = told.get("error")
    return f"{status} {error[:80]}" if isinstance(error, str) and error.isascii() and error.isprintable() else str(status)
