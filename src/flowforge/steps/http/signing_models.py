"""How a request signs in: the parameters `auth` and `client_certificate`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from flowforge.operations import IS_URL, StrictModel, require_one
from flowforge.steps.http.fields import refuse_header


class BasicAuth(StrictModel):
    """User name and password (RFC 7617)."""

    user: str = Field(description="The user name; it cannot hold a colon.", pattern="^[^:]*$")
    password: str = Field(description="The password.")


class DigestAuth(StrictModel):
    """User name and password, of which only a digest is sent (RFC 7616); SHA-256 and MD5."""

    user: str = Field(description="The user name; it cannot hold a colon.", pattern="^[^:]*$")
    password: str = Field(description="The password.")


class ApiKeyAuth(StrictModel):
    """A key in a header or in the query, as the server wants it."""

    header: str | None = Field(default=None, description="The header that carries the key.")
    query: str | None = Field(default=None, description="The query parameter that carries the key.")
    value: str = Field(description="The key.")

    @model_validator(mode="after")
    def _check_one_place(self) -> "ApiKeyAuth":
        require_one(self, "header", "query")
        if self.header is not None:
            refuse_header(self.header, "")
        return self


class OAuth2Auth(StrictModel):
    """A token that FlowForge fetches itself with the client's credentials (RFC 6749, 4.4), and keeps until it expires."""

    token_url: Annotated[str, IS_URL] = Field(description="The http or https URL that gives tokens.", min_length=1)
    client_id: str = Field(description="The client's name.", min_length=1)
    client_secret: str = Field(description="The client's secret.", min_length=1)
    scope: str | None = Field(default=None, description="What the token is to allow: names with blanks between.")
    audience: str | None = Field(default=None, description="For whom the token is, where the server asks for it.")
    style: Literal["basic", "body"] = Field(
        default="basic", description="Whether name and secret go into the Authorization header or into the form."
    )


class Auth(StrictModel):
    """How to sign in: exactly one of these."""

    bearer: str | None = Field(default=None, description="A token, sent as `Authorization: Bearer …`.")
    basic: BasicAuth | None = Field(default=None, description="User name and password.")
    api_key: ApiKeyAuth | None = Field(default=None, description="A key in a header or in the query.")
    oauth2: OAuth2Auth | None = Field(default=None, description="Client credentials, for which a token is fetched and kept.")
    digest: DigestAuth | None = Field(default=None, description="User name and password, sent as a digest.")

    @model_validator(mode="after")
    def _check_one_way(self) -> "Auth":
        require_one(self, "bearer", "basic", "api_key", "oauth2", "digest")
        return self


class ClientCertificateAuth(StrictModel):
    """The certificate by which the server knows the client (mutual TLS)."""

    certificate: str = Field(description="The certificate in PEM, with those that it stands on after it.", min_length=1)
    key: str = Field(description="Its private key in PEM.", min_length=1)
    password: str | None = Field(default=None, description="The password of the private key, if it has one.")

    @field_validator("certificate", "key")
    @classmethod
    def _check_pem(cls, text: str) -> str:
        if "-----BEGIN " not in text:
            raise ValueError("this is no PEM text; it begins with -----BEGIN")
        return text
