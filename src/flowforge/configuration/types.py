"""What can be set at run time, each with its default and its check."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from flowforge.web.bodies import Body, Prose, Title

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


def _check_origin(text: str) -> str:
    """An origin as browsers send it: scheme, host, port; nothing else, and never `null` or `*`."""
    parts = urlsplit(text)
    host = parts.hostname or ""
    port = "" if parts.port is None else f":{parts.port}"
    if parts.scheme not in {"http", "https"} or not _LABEL.fullmatch(host) or text != f"{parts.scheme}://{host}{port}":
        raise PydanticCustomError("origin_invalid", "An origin is https://host or https://host:port, in lower case.")
    return text


def _check_provider_name(text: str) -> str:
    if not _NAME.fullmatch(text) or text == "default":
        raise PydanticCustomError("name_invalid", "A name has small letters, digits and -, and is not `default`.")
    return text


def _check_issuer(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise PydanticCustomError("url_invalid", "An issuer is an address like https://login.example.com.")
    return text


Origin = Annotated[str, Field(max_length=300, examples=["https://app.example.com"]), AfterValidator(_check_origin)]


class OidcProvider(Body):
    """A further provider of sign-in. Its client secret is the secret of that name in the default workspace."""

    name: Annotated[str, AfterValidator(_check_provider_name)] = Field(examples=["company"])
    title: Title = Field(examples=["Company account"])
    issuer: Annotated[str, Field(max_length=200), AfterValidator(_check_issuer)] = Field(examples=["https://login.example.com"])
    client_id: str = Field(min_length=1, max_length=400)
    client_secret_name: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]{0,62}$")


class RuntimeSettings(Body):
    """All that can be set at run time. Settings of the environment that are stricter win."""

    cors_origins: list[Origin] = Field(
        default=[], max_length=100, description="Pages that may call the API, beside CORS_ORIGINS."
    )
    oidc_providers: list[OidcProvider] = Field(default=[], max_length=20)
    announcement: Prose = Field(default="", max_length=1_000, description="Shown to everybody who is signed in.")
    default_role: Literal["", "viewer", "requester"] = Field(
        default="", description="The role that a person gets at the first sign-in; empty: none."
    )


FIELDS: Final = tuple(RuntimeSettings.model_fields)
