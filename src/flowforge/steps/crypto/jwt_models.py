"""What signing and verifying tokens share."""

from typing import Literal

JwtAlgorithm = Literal["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"]
