"""What `http.download` takes and gives."""

from typing import Annotated, Final, Literal

import pydantic
from pydantic import Field, field_validator, model_validator

from flowforge.kit.limits import SizeBytes
from flowforge.operations import StrictModel
from flowforge.steps.http.fields import Scalar
from flowforge.steps.http.parameters import FILE_MAX_BYTES, CallParameters, IfChanged, is_none

_DEFAULT_BYTES: Final = 2**30
_OWN_HEADERS: Final = frozenset({"accept-encoding", "if-match", "if-modified-since", "if-none-match", "if-range", "range"})


class DownloadParameters(CallParameters):
    """What to fetch, and where to put it: into a file value, or with `path` below a file root."""

    root: str = Field(default="work", description="With `path`: the name of a root that FILE_ROOTS configures.")
    path: str | None = Field(
        default=None, description="The path below the root; without it the output is a file value.", min_length=1
    )
    mode: Literal["replace", "create"] = Field(
        default="replace", description="With `path`: whether a file that is there is replaced or is an error."
    )
    name: str | None = Field(default=None, description="The file value's name; the server's unless given.", min_length=1)
    max_size: Annotated[SizeBytes, Field(ge=1, le=FILE_MAX_BYTES)] = Field(
        default=_DEFAULT_BYTES, description="The largest file, such as `500MiB`; 1 GiB unless set, at most 10 GiB."
    )
    sha256: str | None = Field(
        default=None, description="The SHA-256 that the file must have, in hexadecimal.", pattern="^[0-9A-Fa-f]{64}$"
    )
    resumes: int = Field(
        default=5, ge=0, le=100, description="How often one attempt goes on where a connection broke, instead of beginning anew."
    )
    if_changed: IfChanged | None = Field(
        default=None, description="Fetches the file only if it has changed since; if not, the output's `is_changed` is false."
    )

    def list_conditions(self) -> dict[str, str]:
        """The headers that `if_changed` asks for."""
        return {} if self.if_changed is None else self.if_changed.list_headers()

    @field_validator("headers")
    @classmethod
    def _refuse_own_headers(cls, headers: dict[str, Scalar]) -> dict[str, Scalar]:
        taken = sorted(name for name in headers if name.lower() in _OWN_HEADERS)
        if taken:
            raise ValueError(f"{', '.join(taken)}: the download sets this itself; use http.request for a part of a file")
        return headers

    @model_validator(mode="after")
    def _check_place(self) -> "DownloadParameters":
        if self.path is not None and self.name is not None:
            raise ValueError("name is for a file value; with path, the path is the name")
        return self


class DownloadResult(StrictModel):
    """The file that was fetched."""

    file: pydantic.JsonValue = Field(description="The file value; null with `path`, and where nothing has changed.")
    root: str | None = Field(default=None, exclude_if=is_none, description="With `path`: the root.")
    path: str | None = Field(default=None, exclude_if=is_none, description="With `path`: the path below the root.")
    size: int = Field(description="The size in bytes.")
    sha256: str | None = Field(description="The SHA-256 of the content, in hexadecimal; null where nothing has changed.")
    headers: dict[str, str] = Field(description="The server's headers by their name in lower case.")
    url: str = Field(description="The URL that answered, after redirects.")
    resume_count: int = Field(description="How often the connection broke, and the download went on.")
    is_changed: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="With `if_changed`: false if the server said that nothing has changed (304).",
    )
