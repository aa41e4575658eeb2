"""An object as results show it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from flowforge.language.times import format_timestamp_ms
from flowforge.operations import StrictModel

_MEDIA_TYPE: Final = "Content-Type"
_OWN_ATTRIBUTES: Final = frozenset(
    {_MEDIA_TYPE, "Content-Disposition", "Content-Encoding", "Content-Language", "Cache-Control", "Storage-Class"}
)


class ObjectFacts(StrictModel):
    """What a listing tells of an object."""

    key: str = Field(description="The key.")
    size: int = Field(description="The size in bytes.")
    etag: str | None = Field(description="The store's mark of this content, without quotes; not always a checksum.")
    modified_at: str = Field(description="When it was put there (RFC 3339, UTC).")


def read_facts(meta: Mapping[str, Any]) -> ObjectFacts:
    return ObjectFacts(
        key=meta["path"], size=meta["size"], etag=bare_etag(meta["e_tag"]), modified_at=_show_moment(meta["last_modified"])
    )


def bare_etag(etag: str | None) -> str | None:
    return None if etag is None else etag.strip('"')


def read_media_type(attributes: Mapping[str, str]) -> str | None:
    return attributes.get(_MEDIA_TYPE)


def read_metadata(attributes: Mapping[str, str]) -> dict[str, str]:
    """What the one who put it there said about it (`x-amz-meta-…`), by lower-case names."""
    return {name.lower(): value for name, value in sorted(attributes.items()) if name not in _OWN_ATTRIBUTES}


def _show_moment(moment: datetime) -> str:
    return format_timestamp_ms(int(moment.timestamp() * 1_000))
