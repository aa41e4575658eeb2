import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flowforge.kit.errors import StorageError, StorageFullError
from flowforge.kit.folder import (
    DataFolderInvalidError,
    DataFolderNewerError,
    DataFolderReadOnlyError,
    explain_os_error,
    open_data_folder,
)

NOBODY = 65534

TRY_TO_OPEN = """
import os, sys
from pathlib import Path
from flowforge.kit.errors import StorageError
from flowforge.kit.folder import open_data_folder
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
try:
    open_data_folder(Path(sys.argv[1]))
except StorageError as fault:
    print(type(fault).__name__, fault.message)
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_is_made_for_its_owner_alone(tmp_path: Path):
    folder = open_data_folder(tmp_path / "a" / "data")
    assert mode_of(folder.root) == 0o700
    assert (folder.root / "VERSION").read_text() == "1\n"
    for part in (folder.files, folder.logs, folder.run, folder.work, folder.backups, folder.keyring.parent):
        assert part.is_dir()
        assert mode_of(part) == 0o700


def test_folder_is_opened_again_as_it_was(tmp_path: Path):
    first = open_data_folder(tmp_path / "data")
    (first.files / "kept").write_text("x")
    assert open_data_folder(tmp_path / "data") == first
    assert (first.files / "kept").read_text() == "x"


def test_folder_with_only_a_config_file_is_adopted_and_closed_to_others(tmp_path: Path):
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data" / "config.toml").write_text("")
    assert mode_of(open_data_folder(tmp_path / "data").root) == 0o700


def test_folder_whose_making_was_cut_short_is_finished(tmp_path: Path):
    (tmp_path / "data" / "keys").mkdir(parents=True)
    (tmp_path / "data" / ".draft-0123").write_text("")
    assert open_data_folder(tmp_path / "data").files.is_dir()


def test_path_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(DataFolderInvalidError, match="is a file, not a folder"):
        open_data_folder(tmp_path / "data")
    with pytest.raises(DataFolderInvalidError, match="is a file, not a folder"):
        open_data_folder(tmp_path / "data" / "below")


def test_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    before = mode_of(tmp_path)
    with pytest.raises(DataFolderInvalidError, match=r"holds other things \(thesis.txt\)"):
        open_data_folder(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]
    assert mode_of(tmp_path) == before


def test_folder_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "VERSION").write_text("2\n")
    with pytest.raises(DataFolderNewerError, match="newer FlowForge"):
        open_data_folder(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["VERSION"]


@pytest.mark.parametrize("text", ["", "one", "-1", "²"])
def test_folder_with_a_damaged_version_is_refused(tmp_path: Path, text: str):
    (tmp_path / "VERSION").write_text(text)
    with pytest.raises(DataFolderInvalidError, match="instead of a number"):
        open_data_folder(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without rights")
def test_folder_that_cannot_be_written_is_refused(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("readonly") / "data"
    open_data_folder(root)
    root.chmod(0o755)
    for parent in (root, *root.parents):
        if parent.owner() == "root" and mode_of(parent) == 0o700:
            parent.chmod(0o711)
    code = TRY_TO_OPEN.format(nobody=NOBODY)
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.startswith("DataFolderReadOnlyError ")
    assert "cannot be written to" in done.stdout


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, StorageFullError, "storage_full"),
        (errno.EDQUOT, StorageFullError, "storage_full"),
        (errno.EROFS, DataFolderReadOnlyError, "data_folder_read_only"),
        (errno.EACCES, DataFolderReadOnlyError, "data_folder_read_only"),
        (errno.ENOTDIR, DataFolderInvalidError, "data_folder_invalid"),
        (errno.EIO, StorageError, "storage_failed"),
    ],
)
def test_fault_of_the_file_system_becomes_one_sentence(number: int, kind: type[StorageError], code: str):
    fault = explain_os_error(OSError(number, os.strerror(number)), Path("/srv/data"))
    assert type(fault) is kind
    assert fault.details[0].code == code
    assert fault.message.startswith(
        ("/srv/data ", "There is no room left on the disk of /srv/data", "A part of the path /srv/data")
    )
    assert fault.message.endswith(".")
