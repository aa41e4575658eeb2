import errno
import os
import threading
from pathlib import Path

import pytest

from flowforge.kit.atomic import create_atomic, write_atomic


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_file_is_replaced_whole_and_readable_by_its_owner_alone(tmp_path: Path):
    write_atomic(tmp_path / "a", b"one")
    write_atomic(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["a"]


def test_file_stays_as_it_was_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_atomic(tmp_path / "a", b"one")

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # A full disk cannot be had without mounting one; the call is the last that can meet it.
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert names_in(tmp_path) == ["a"]


def test_draft_is_removed_when_the_move_fails(tmp_path: Path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "a", b"one")
    assert names_in(tmp_path) == ["a"]


def test_only_one_of_many_creates_a_file(tmp_path: Path):
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(create_atomic(tmp_path / "a", os.urandom(8)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(True) == 1
    assert names_in(tmp_path) == ["a"]
