"""JSON Web Tokens (RFC 7519), signed and checked with an algorithm that the parameters fix, never the token."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, JoseError, SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from flowforge.operations import FatalError

_KEYS: Final[dict[str, Any]] = {"HS": OctKey, "RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}


def sign_claims(claims: dict[str, Any], key: bytes, algorithm: str, key_id: str | None) -> str:
    """The token in compact form. Raises FatalError (`key_invalid`)."""
    header = {"alg": algorithm} if key_id is None else {"alg": algorithm, "kid": key_id}
    with _without_warning():
        return jwt.encode(header, claims, _import_key(key, algorithm), registry=_allow_only(algorithm))


def check_token(token: str, key: bytes, algorithm: str, now_s: int, leeway_s: int, wanted: dict[str, str]) -> dict[str, Any]:
    """The claims of a token whose signature is right, whose times hold now, and whose claims are as wanted.

    Raises:
        FatalError: `token_invalid`, `token_signature`, `token_expired`, `token_claims`, `key_invalid`.
    """
    imported = _import_key(key, algorithm)
    try:
        with _without_warning():
            found = jwt.decode(token, imported, registry=_allow_only(algorithm))
        options: dict[str, Any] = {name: {"essential": True, "value": value} for name, value in wanted.items()}
        jwt.JWTClaimsRegistry(now=now_s, leeway=leeway_s, **options).validate(found.claims)
    except BadSignatureError as error:
        raise FatalError(
            "The token's signature is wrong: it was changed, or signed with another key.", code="token_signature"
        ) from error
    except ExpiredTokenError as error:
        raise FatalError("The token has expired.", code="token_expired") from error
    except ClaimError as error:
        raise FatalError(f"The token's claim {error.claim} is missing or not as wanted.", code="token_claims") from error
    except (JoseError, ValueError) as error:
        raise FatalError(f"This is no token signed with {algorithm}.", code="token_invalid") from error
    return found.claims


def _allow_only(algorithm: str) -> JWSRegistry:
    # The library looks at a registry's list alone where there is one.
    return JWSRegistry(algorithms=[algorithm])


@contextmanager
def _without_warning() -> Generator[None]:
    """The library's warnings would stand beside the command's output.

    They are of EdDSA, which goes by a new name since RFC 9864 that few write yet, and of short keys, which the other side may have chosen.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield


def _import_key(key: bytes, algorithm: str) -> Any:
    try:
        with _without_warning():
            return _KEYS[algorithm[:2]].import_key(key)
    except (JoseError, ValueError) as error:
        wanted = "a shared key" if algorithm.startswith("HS") else "a key in PEM or JWK form that fits it"
        raise FatalError(f"key cannot be used with {algorithm}, which needs {wanted}.", code="key_invalid") from error
