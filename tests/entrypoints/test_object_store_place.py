"""Where OBJECT_STORE_URL leads: the same files for every process of an installation, and its keys on no command line."""

import json
from pathlib import Path

import pytest
from tests.support.objects import make_bucket_url
from tests.support.s3 import serve_s3

from flowforge.entrypoints.heavy import describe_services, make_services
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.errors import ValidationError
from flowforge.kit.objects import ObjectStore
from flowforge.kit.settings_source import load_settings


def open_place(data: Path, url: str | None) -> Installation:
    environment = {"FLOWFORGE_DATA": str(data)} | ({} if url is None else {"FLOWFORGE_OBJECT_STORE_URL": url})
    return open_installation(load_settings(environment))


def test_files_lie_in_the_data_folder_where_nothing_is_said(tmp_path: Path):
    installation = open_place(tmp_path / "data", None)
    file = installation.objects.put(b"x", name="x", media_type="a/b")
    assert list((tmp_path / "data" / "files").rglob(file.id))
    assert "data" not in describe_services(installation).given


def test_two_machines_share_a_folder(tmp_path: Path):
    (tmp_path / "shared").mkdir()
    one, other = (open_place(tmp_path / name, f"file://{tmp_path}/shared") for name in ("one", "other"))
    assert other.objects.read(one.objects.put(b"x", name="x", media_type="a/b").id) == b"x"
    assert list((tmp_path / "one" / "files").iterdir()) == []


def test_process_for_heavy_operations_has_the_same_bucket_and_its_command_line_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with serve_s3() as port:
        url = make_bucket_url(port)
        installation = open_place(tmp_path / "data", url)
        given = describe_services(installation).given
        assert "secret-key-1" not in json.dumps(given)
        monkeypatch.setenv("FLOWFORGE_OBJECT_STORE_URL", url)
        objects = make_services(given)[ObjectStore]
        assert isinstance(objects, ObjectStore)
        assert objects.read(installation.objects.put(b"x", name="x", media_type="a/b").id) == b"x"


def test_url_that_cannot_be_read_is_refused_with_its_setting(tmp_path: Path):
    with pytest.raises(ValidationError, match="FLOWFORGE_OBJECT_STORE_URL begins with neither"):
        _ = open_place(tmp_path / "data", "gs://bucket").objects
