"""A small OpenID Connect provider under the test's control: it does all right, or one thing wrong."""

import hashlib
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from tests.support.servers import EffectServer, Received, Reply, json_reply

CLIENT_ID = "flowforge"
CLIENT_SECRET = "a s3cret/with:signs"
KEY = RSAKey.generate_key(2048, {"use": "sig"}, private=True, auto_kid=True)
OTHER_KEY = RSAKey.generate_key(2048, {"use": "sig"}, private=True, auto_kid=True)
ANN = {"sub": "ann-1", "email": "ann@example.com", "email_verified": True, "name": "Ann"}


@dataclass
class StubProvider:
    """`changes` go into the claims of each ID token; a None takes one out. `client_of_code` overrules who asked for the code."""

    server: EffectServer
    person: Mapping[str, Any] = field(default_factory=lambda: dict(ANN))
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    header: dict[str, Any] = field(default_factory=dict[str, Any])
    key: RSAKey = field(default_factory=lambda: KEY)
    keys: list[RSAKey] = field(default_factory=lambda: [KEY])
    discovery: dict[str, Any] = field(default_factory=dict[str, Any])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    client_of_code: str | None = None
    userinfo: dict[str, Any] | None = None
    """What the userinfo endpoint says; None: there is none."""

    def __post_init__(self) -> None:
        self.server.on("/.well-known/openid-configuration", lambda _: json_reply(self.describe()))
        self.server.on("/keys", lambda _: json_reply(self.publish_keys()))
        self.server.on("/token", self.give_token)
        self.server.on("/userinfo", self.tell_more)

    @property
    def issuer(self) -> str:
        return self.server.url

    def describe(self) -> Any:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            **({} if self.userinfo is None else {"userinfo_endpoint": f"{self.issuer}/userinfo"}),
            **self.discovery,
        }

    def publish_keys(self) -> Any:
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def authorize(self, location: str, **further: str) -> str:
        """What the provider's page adds to the callback, once the person has agreed."""
        asked = dict(parse_qsl(urlsplit(location).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return urlencode({"code": code, "state": asked["state"]} | further)

    def give_token(self, request: Received) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        name, _, secret = b64decode(request.headers["authorization"].removeprefix("Basic ")).decode().partition(":")
        if (unquote(name), unquote(secret)) != (CLIENT_ID, CLIENT_SECRET):
            return json_reply({"error": "invalid_client"}, 401)
        asked = self.codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if (
            asked is None
            or (self.client_of_code or asked["client_id"]) != form["client_id"]
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge"] != challenge
        ):
            return json_reply({"error": "invalid_grant"}, 400)
        token = self.sign({"nonce": asked["nonce"], "aud": form["client_id"]} | dict(self.person))
        return json_reply({"id_token": token, "access_token": "opaque", "token_type": "Bearer"})

    def tell_more(self, request: Received) -> Reply:
        if request.headers.get("authorization") != "Bearer opaque":
            return json_reply({"error": "invalid_token"}, 401)
        return json_reply(self.userinfo or {}) if self.userinfo != {} else json_reply({}, 500)

    def sign(self, claims: Mapping[str, Any]) -> str:
        now_s = int(time.time())
        full = {"iss": self.issuer, "iat": now_s, "exp": now_s + 300, **claims, **self.changes}
        header = {"alg": "RS256", "kid": self.key.kid, **self.header}
        return jwt.encode(header, {name: value for name, value in full.items() if value is not None}, self.key, ["RS256"])
