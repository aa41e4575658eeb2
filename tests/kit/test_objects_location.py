"""OBJECT_STORE_URL as operators write it, and as they mistake it."""

from pathlib import Path

import pytest
from tests.support.clock import ManualClock

from flowforge.kit.errors import StorageError, ValidationError
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore, open_shelf
from flowforge.kit.objects.bucket import BucketPlace
from flowforge.kit.objects.location import read_bucket

SECRET = "wJalrXUtnFEMI/K7MDENG"


def test_bucket_with_all_that_can_be_said_about_it():
    url = "s3://bucket/some/prefix/?endpoint=http://minio:9000/&region=eu-west-1&access_key_id=AK&secret_access_key=SK&session_token=T"
    assert read_bucket(url) == BucketPlace("bucket", "some/prefix", "http://minio:9000", "eu-west-1", True, "AK", "SK", "T")


def test_keys_stand_before_the_bucket():
    place = read_bucket("s3://AK:wJalrXUtnFEMI%2FK7MDENG@bucket?path_style=false")
    assert place == BucketPlace("bucket", is_path_style=False, access_key="AK", secret_key=SECRET)
    assert SECRET not in f"{place} {place!r}"


def test_what_is_not_said_is_left_to_the_environment():
    assert read_bucket("s3://bucket") == BucketPlace("bucket")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("bucket", "begins with neither"),
        ("http://minio:9000/bucket", "begins with neither"),
        ("s3://[bucket", "is no URL"),
        ("s3://", "names no bucket"),
        ("s3://bucket:9000/x", "the server goes into ?endpoint="),
        (f"s3://AK@bucket/?x={SECRET}", "the parameter x"),
        (f"s3://AK:{SECRET}@bucket", "/ as %2F"),
        (f"s3://:{SECRET.replace('/', '%2F')}@bucket", "a secret without its key"),
        ("s3://bucket?access_key_id=AK", "without its secret"),
        ("s3://bucket?path_style=1", "neither true nor false"),
        ("s3://bucket?endpoint=minio:9000", "an endpoint that is no address"),
        (f"s3://bucket?endpoint=http://AK:{SECRET}@minio", "is no URL"),
        ("s3://bucket?endpoint=http://AK:SK@minio", "an endpoint that is no address"),
        ("file:shared", "names no folder"),
        ("file://host/shared", "names no folder"),
        ("file:///shared?x=1", "names no folder"),
    ],
)
def test_url_that_cannot_be_read_gives_a_sentence_without_secrets(url: str, said: str):
    with pytest.raises(ValidationError) as caught:
        open_shelf(url)
    assert said in caught.value.message
    assert SECRET not in caught.value.message
    assert caught.value.details[0].field == "FLOWFORGE_OBJECT_STORE_URL"
    assert caught.value.details[0].code == "setting_invalid"


def test_shared_folder_is_used_as_it_is(tmp_path: Path):
    shared = tmp_path / "a shared folder"
    shared.mkdir()
    url = f"file://{str(shared).replace(' ', '%20')}"
    one, other = (ObjectStore(open_shelf(url), IdSource(ManualClock())) for _ in range(2))
    assert other.read(one.put(b"x", name="x", media_type="a/b").id) == b"x"


def test_f60_shared_folder_that_is_not_mounted_is_not_made(tmp_path: Path):
    store = ObjectStore(open_shelf(f"file://{tmp_path}/mount"), IdSource(ManualClock()))
    acts = (
        lambda: store.put(b"x", name="x", media_type="a/b"),
        lambda: store.create(name="x", media_type="a/b").__enter__(),
        lambda: store.read("file_" + "0" * 26),
        lambda: store.delete("file_" + "0" * 26),
        lambda: list(store.list_objects()),
    )
    for act in acts:
        with pytest.raises(StorageError, match="look whether it is mounted here"):
            act()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mount").mkdir()
    assert store.read(store.put(b"x", name="x", media_type="a/b").id) == b"x"
