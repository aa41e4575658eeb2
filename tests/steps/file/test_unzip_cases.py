"""Cases UPL-14 to UPL-24, UPL-01, A08 and A20: archives that should do harm, or that are broken."""

import gzip
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.attempts import Attempts, call

from flowforge.kit.limits import Limits
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, Operation, RetryableError
from flowforge.steps.file.gunzip import gunzip
from flowforge.steps.file.read import read
from flowforge.steps.file.unzip import unpack

Files = list[tuple[str | zipfile.ZipInfo, bytes]]


@pytest.fixture
def work(tmp_path: Path, attempts: Attempts) -> Path:
    del attempts
    (tmp_path / "canary").write_text("canary")
    return tmp_path / "work"


def make_zip(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return data.getvalue()


def list_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


async def refuse(attempts: Attempts, work: Path, data: bytes, operation: Operation = unpack, **more: JsonValue) -> str:
    """The error's code, when the archive is unpacked to a folder and to file values; nothing may have been written by either."""
    (work / "in").write_bytes(data)
    codes: set[str] = set()
    targets: list[JsonObject] = [{"to": "out"}, {}]
    for target in targets:
        with pytest.raises((FatalError, RetryableError)) as caught:
            await attempts.call(operation, {"path": "in", **target, **more})
        assert isinstance(caught.value, FatalError)
        assert caught.value.message.endswith(".")
        codes.add(caught.value.code)
    assert list_names(work) == ["in"]
    assert list_names(work.parent) == ["canary", "files", "other", "work"]
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    assert list(objects.list_objects()) == []
    (code,) = codes
    return code


def replace(data: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    assert old in data
    return data.replace(old, new, count)


@pytest.mark.parametrize("operation", [unpack, gunzip])
async def test_upl_01_an_empty_file_is_told_apart(operation: Operation, attempts: Attempts, work: Path):
    assert await refuse(attempts, work, b"", operation) == "file_empty"


async def test_upl_14_one_entry_more_than_allowed_is_refused(attempts: Attempts, work: Path):
    limit = Limits().zip_entries
    data = make_zip([(f"{number}", b"") for number in range(limit + 1)])
    assert await refuse(attempts, work, data) == "zip_entries"
    (work / "in").write_bytes(make_zip([(f"{number}", b"") for number in range(limit)]))
    files = (await call(attempts, unpack, path="in", to="out"))["files"]
    assert isinstance(files, list)
    assert len(files) == limit


async def test_upl_14_a_directory_that_lies_about_its_length_is_refused_before_it_is_read(attempts: Attempts, work: Path):
    data = make_zip([(f"{number}", b"") for number in range(3_000)])
    end = data.rfind(b"PK\5\6")
    lying = data[: end + 8] + struct.pack("<2H", 1, 1) + data[end + 12 :]
    assert await refuse(attempts, work, lying) == "zip_corrupt"


async def test_upl_15_a_bomb_is_refused_by_its_ratio(attempts: Attempts, work: Path):
    zeros = b"\0" * 2**24
    assert await refuse(attempts, work, make_zip([(f"{number}", zeros) for number in range(8)])) == "zip_ratio"
    lying = replace(make_zip([("x", b"\0" * 2**21)]), struct.pack("<L", 2**21), struct.pack("<L", 2**32 - 2))
    assert await refuse(attempts, work, lying) == "zip_ratio"


async def test_upl_15_more_than_the_total_is_refused(attempts: Attempts, work: Path):
    data = make_zip([("x", bytes(range(256)) * 8)], zipfile.ZIP_STORED)
    attempts.limits = Limits(zip_total_bytes=2_047)
    assert await refuse(attempts, work, data) == "zip_total"


async def test_upl_15_a_small_text_of_one_letter_is_no_bomb(attempts: Attempts, work: Path):
    (work / "in").write_bytes(make_zip([("x", b"a" * 2**20)]))
    assert (await call(attempts, unpack, path="in", to="out"))["size"] == 2**20


async def test_upl_16_entries_that_share_their_bytes_are_refused(attempts: Attempts, work: Path):
    data = make_zip([("a", b"first" * 9), ("b", b"other" * 9)], zipfile.ZIP_STORED)
    end = data.rfind(b"PK\5\6")
    directory = data.find(b"PK\1\2")
    first = data[directory : data.find(b"PK\1\2", directory + 4)]
    doubled = data[:directory] + first + replace(first, b"a", b"a", 1) + data[end:]
    assert await refuse(attempts, work, doubled) == "zip_duplicate"
    second = data[data.find(b"PK\1\2", directory + 4) : end]
    onto_first = second[:42] + struct.pack("<L", 0) + second[46:]
    assert await refuse(attempts, work, data[:directory] + first + onto_first + data[end:]) == "zip_overlap"


async def test_upl_17_an_archive_in_an_archive_stays_a_file(attempts: Attempts, work: Path):
    inner = make_zip([("innermost.zip", make_zip([("x", b"1")])), ("../escape", b"")])
    (work / "in").write_bytes(make_zip([("inner.zip", inner)]))
    await call(attempts, unpack, path="in", to="out")
    assert [path.name for path in (work / "out").iterdir()] == ["inner.zip"]
    assert (work / "out" / "inner.zip").read_bytes() == inner


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "a/..",
        "..",
        "/etc/passwd",
        "//host/x",
        "C:/x",
        "c:x",
        "a\\b",
        "..\\x",
        "a//b",
        "a/./b",
        "x\ny",
        "x" * 256,
        "/".join("x" * 60),
        ".draft-x",
        "a/.draft-x/b",
    ],
)
async def test_upl_18_a08_an_entry_that_leads_out_is_refused_before_anything_is_written(
    name: str, attempts: Attempts, work: Path
):
    data = make_zip([("good", b"1"), (name.replace("\\", "|"), b"2")])
    data = data.replace(name.replace("\\", "|").encode(), name.encode())
    assert await refuse(attempts, work, data) == "zip_path"
    assert (work.parent / "canary").read_text() == "canary"


async def test_upl_18_a_name_with_a_zero_byte_is_refused(attempts: Attempts, work: Path):
    data = make_zip([("good", b"1"), ("x_y.txt", b"2")]).replace(b"x_y.txt", b"x\0y.txt")
    assert await refuse(attempts, work, data) in {"zip_path", "zip_corrupt"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
@pytest.mark.parametrize("system", [0, 3])
async def test_upl_19_links_and_devices_are_refused(kind: int, system: int, attempts: Attempts, work: Path):
    info = zipfile.ZipInfo("x")
    info.create_system = system
    info.external_attr = (kind | 0o777) << 16
    assert await refuse(attempts, work, make_zip([("good", b"1"), (info, b"../../canary")])) == "zip_link"


@pytest.mark.parametrize(
    "names",
    [
        ("Report.txt", "REPORT.TXT"),
        ("caf\u00e9", "cafe\u0301"),
        ("a", "a/b"),
        ("A", "a/b"),
        ("stra\u00dfe", "STRASSE"),
        ("a/b/", "a/b"),
    ],
)
async def test_upl_20_entries_for_the_same_place_are_refused(names: tuple[str, str], attempts: Attempts, work: Path):
    for order in (names, names[::-1]):
        assert (
            await refuse(attempts, work, make_zip([(name, b"1" if name[-1] != "/" else b"") for name in order]))
            == "zip_duplicate"
        )


@pytest.mark.filterwarnings("ignore:Duplicate name")
async def test_upl_20_the_same_name_twice_is_refused(attempts: Attempts, work: Path):
    assert await refuse(attempts, work, make_zip([("a", b"1"), ("a", b"2")])) == "zip_duplicate"


def change_local(at: int, form: str, value: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(change_local(8, "<H", 0), id="method"),
        pytest.param(change_local(14, "<L", 1), id="crc"),
        pytest.param(change_local(18, "<L", 3), id="packed size"),
        pytest.param(change_local(22, "<L", 3), id="size"),
        pytest.param(change_local(30, "<B", ord("y")), id="name"),
        pytest.param(change_local(6, "<H", 1), id="encrypted"),
        pytest.param(change_local(0, "<L", 0), id="mark"),
        pytest.param(change_local(26, "<H", 60_000), id="length of name"),
    ],
)
async def test_upl_21_headers_that_disagree_are_refused(damage: Callable[[bytes], bytes], attempts: Attempts, work: Path):
    assert await refuse(attempts, work, damage(make_zip([("x", b"content" * 9), ("z", b"")]))) == "zip_corrupt"


async def test_upl_21_content_of_another_size_than_promised_is_refused(attempts: Attempts, work: Path):
    content = b"content" * 9
    data = make_zip([("good", b"1"), ("x", content)])
    for size in (len(content) - 1, len(content) + 1):
        lying = replace(data, struct.pack("<L", len(content)), struct.pack("<L", size))
        assert await refuse(attempts, work, lying) == "zip_corrupt"


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x20])
async def test_upl_22_what_is_encrypted_or_patched_is_refused(flag: int, attempts: Attempts, work: Path):
    data = bytearray(make_zip([("x", b"1")]))
    for place in (data.find(b"PK\3\4") + 6, data.find(b"PK\1\2") + 8):
        data[place] |= flag
    assert await refuse(attempts, work, bytes(data)) == "zip_unsupported"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_upl_22_other_methods_are_refused(method: int, attempts: Attempts, work: Path):
    assert await refuse(attempts, work, make_zip([("x", b"1")], method)) == "zip_unsupported"


async def test_upl_22_a_wrong_checksum_is_found_and_what_was_unpacked_is_taken_away(attempts: Attempts, work: Path):
    good, bad = b"good" * 100, b"fine" * 100
    data = make_zip([("a", good), ("b", bad)], zipfile.ZIP_STORED)
    assert await refuse(attempts, work, replace(data, bad, b"evil" * 100)) == "zip_corrupt"
    packed = make_zip([("a", good), ("b", bad * 100)])
    at = packed.find(b"PK\3\4", 4) + 31
    assert await refuse(attempts, work, packed[:at] + b"\xff" * 8 + packed[at + 8 :]) == "zip_corrupt"


async def test_upl_22_a_cut_archive_is_refused_wherever_it_is_cut(attempts: Attempts, work: Path):
    data = make_zip([("a", b"content" * 100), ("folder/b", b"2")])
    for length in range(5, len(data), 7):
        assert await refuse(attempts, work, data[:length]) == "zip_corrupt"


def make_tar() -> bytes:
    return b"name".ljust(257, b"\0") + b"ustar\x0000" + b"\0" * 1000


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (gzip.compress(make_tar(), mtime=0), "gunzip"),
        (make_tar(), "tar"),
        (b"7z\xbc\xaf\x27\x1c" + b"\0" * 40, "7z"),
        (b"Rar!\x1a\x07\x01\0" + b"\0" * 40, "RAR"),
        (b"plain text", "no zip archive"),
        (b"\x7fELF" + b"\0" * 40, "no zip archive"),
    ],
)
async def test_upl_23_other_archives_are_refused_by_name(data: bytes, name: str, attempts: Attempts, work: Path):
    assert await refuse(attempts, work, data) == "zip_unsupported"
    with pytest.raises(FatalError, match=name):
        await attempts.call(unpack, {"path": "in"})


async def test_upl_24_a20_a_gzip_bomb_is_stopped_by_its_ratio(attempts: Attempts, work: Path):
    assert await refuse(attempts, work, gzip.compress(b"\0" * 2**25), gunzip) == "zip_ratio"
    members = gzip.compress(b"\0" * 2**18) * 200
    assert await refuse(attempts, work, members, gunzip) == "zip_ratio"
    attempts.limits = Limits(zip_total_bytes=4_096)
    assert await refuse(attempts, work, gzip.compress(bytes(range(256)) * 17), gunzip) == "zip_total"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"plain", "zip_unsupported"),
        (b"\x1f", "zip_unsupported"),
        (gzip.compress(b"x" * 1_000, mtime=0)[:-1], "zip_corrupt"),
        (gzip.compress(b"x" * 1_000, mtime=0)[:12], "zip_corrupt"),
        (gzip.compress(b"x" * 1_000, mtime=0)[:-8] + b"\0" * 8, "zip_corrupt"),
        (gzip.compress(b"x" * 1_000, mtime=0) + b"garbage", "zip_corrupt"),
        (b"\x1f\x8b\x07" + b"\0" * 20, "zip_corrupt"),
    ],
)
async def test_a_broken_gzip_file_leaves_nothing(data: bytes, code: str, attempts: Attempts, work: Path):
    assert await refuse(attempts, work, data, gunzip) == code


async def test_every_flipped_byte_gives_a_result_or_a_typed_refusal(attempts: Attempts, work: Path):
    data = make_zip([("a.txt", b"content" * 9), ("folder/b.txt", zlib.compress(b"x"))])
    seen: set[str] = set()
    for place in range(len(data)):
        broken = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        (work / "in").write_bytes(broken)
        try:
            await attempts.call(unpack, {"path": "in", "to": "out", "mode": "replace"})
            seen.add("ok")
        except FatalError as error:
            seen.add(error.code)
    assert seen <= {
        "ok",
        "zip_corrupt",
        "zip_unsupported",
        "zip_path",
        "zip_link",
        "zip_overlap",
        "zip_ratio",
        "zip_entries",
        "zip_duplicate",
        "zip_total",
    }
    assert (work.parent / "canary").read_text() == "canary"


async def test_an_archive_behind_other_bytes_is_read(attempts: Attempts, work: Path):
    (work / "in").write_bytes(b"#!/bin/sh\n" * 20 + make_zip([("a", b"1"), ("b", b"2")]))
    files = (await call(attempts, unpack, path="in", to="out"))["files"]
    assert isinstance(files, list)
    assert len(files) == 2
    assert (await call(attempts, read, path="out/b"))["content"] == "2"
