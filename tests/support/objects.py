"""Object stores for tests: in a folder, and in a bucket of a server in this process."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.support.s3 import BUCKET, serve_s3

from flowforge.kit.clock import SystemClock
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore, open_shelf

KINDS = ("folder", "shared folder", "bucket")


def make_bucket_url(port: int, bucket: str = BUCKET) -> str:
    """OBJECT_STORE_URL of a bucket at a server on loopback."""
    return f"s3://AKIDEXAMPLE:secret-key-1@{bucket}/some/prefix?endpoint=http://127.0.0.1:{port}&region=eu-central-1"


@contextmanager
def open_objects(kind: str, folder: Path) -> Generator[ObjectStore]:
    """An empty store of one of `KINDS`; the folder is not there yet."""
    ids = IdSource(SystemClock())
    if kind == "bucket":
        with serve_s3() as port:
            yield ObjectStore(open_shelf(make_bucket_url(port)), ids)
    elif kind == "shared folder":
        folder.mkdir()
        yield ObjectStore(open_shelf(f"file://{folder}"), ids)
    else:
        yield ObjectStore(folder, ids)
