"""Reads OBJECT_STORE_URL: where the installation's files and large values lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.objects.folder import FolderShelf

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from flowforge.kit.objects.bucket import BucketPlace
    from flowforge.kit.objects.shelf import Shelf

_SETTING: Final = "OBJECT_STORE_URL"
_QUERY: Final = ("access_key_id", "endpoint", "path_style", "region", "secret_access_key", "session_token")
_TRUTHS: Final[Mapping[str, bool]] = {"true": True, "false": False}


def open_shelf(url: str) -> "Shelf":
    """The shelf that the setting OBJECT_STORE_URL names; nothing is connected yet.

    `file:///a/shared/folder`, or `s3://[key:secret@]bucket[/prefix]` with the query `endpoint`, `region`, `path_style` (true where an
    endpoint is given), `access_key_id`, `secret_access_key`, `session_token`. What it leaves out of keys, region and endpoint comes from
    the environment as Amazon's tools read it (AWS_ACCESS_KEY_ID, AWS_REGION, a role of the machine …).

    Raises:
        ValidationError: it can be read as neither; code `setting_invalid`. The message repeats nothing of the URL that may be secret.
    """
    parts = _split(url)
    if parts.scheme == "file":
        return _open_folder(parts)
    place = read_bucket(url)
    # Start-up cost: only who has a bucket loads the client.
    from flowforge.kit.objects.bucket import BucketShelf

    return BucketShelf(place)


def _split(url: str) -> "SplitResult":
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        _refuse("is no URL (a key in it is written percent-encoded, / as %2F)")
    return parts


def _open_folder(parts: "SplitResult") -> FolderShelf:
    folder = Path(unquote(parts.path))
    if parts.netloc not in {"", "localhost"} or not folder.is_absolute() or parts.query or parts.fragment:
        _refuse("names no folder; it is file:// and an absolute path, file:///mnt/flowforge")
    return FolderShelf(folder, is_shared=True)


def read_bucket(url: str) -> "BucketPlace":
    """The bucket that an `s3://` URL names. Raises as `open_shelf`."""
    # As above.
    from flowforge.kit.objects.bucket import BucketPlace

    parts = _split(url)
    if parts.scheme != "s3":
        _refuse("begins with neither file:// nor s3://")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(_QUERY)):
        _refuse(f"has the parameter {unknown[0][:40]}, which there is not; there are {', '.join(_QUERY)}")
    if not parts.hostname or parts.port is not None or parts.fragment:
        _refuse("names no bucket; it is s3://bucket/prefix, and the server goes into ?endpoint=")
    key = unquote(parts.username) if parts.username else given.get("access_key_id")
    secret = unquote(parts.password) if parts.password else given.get("secret_access_key")
    if (key is None) != (secret is None):
        _refuse("has an access key without its secret, or a secret without its key")
    path_style = given.get("path_style", "true")
    if path_style not in _TRUTHS:
        _refuse("has a path_style that is neither true nor false")
    return BucketPlace(
        # `hostname` is in lower case, and so are buckets.
        bucket=parts.hostname,
        prefix=unquote(parts.path).strip("/"),
        endpoint=_read_endpoint(given.get("endpoint")),
        region=given.get("region"),
        is_path_style=_TRUTHS[path_style],
        access_key=key,
        secret_key=secret,
        session_token=given.get("session_token"),
    )


def _read_endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in text or parts.query or parts.fragment:
        _refuse("has an endpoint that is no address; it is http://host:port or https://host")
    return text.rstrip("/")


def _refuse(what: str) -> NoReturn:
    message = f"FLOWFORGE_{_SETTING} {what}; it is file:///a/shared/folder or s3://bucket/prefix?endpoint=…&region=…."
    raise ValidationError(message, [Detail(field=f"FLOWFORGE_{_SETTING}", message=message, code="setting_invalid")])
