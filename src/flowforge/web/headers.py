"""Headers that routes take, as FastAPI reads them."""

from typing import Annotated

from fastapi import Header

IfMatchIn = Annotated[str | None, Header(alias="If-Match", max_length=200, description="The ETag that was read.")]
"""`if_match: IfMatchIn = None`."""
IfNoneMatchIn = Annotated[str | None, Header(alias="If-None-Match", max_length=200, description="`*`: there must be none yet.")]
