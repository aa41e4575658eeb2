import gzip
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import insert, select, update
from tests.support.databases import Kind
from tests.support.filled import AT, ENDED, OWNED, WAITING, WITH_JOBS, change_rows, fill, read_everything, read_rows
from tests.support.ground import Ground

from flowforge.engine.tables import inbox, jobs, leases, outbox, queue, runs, step_logs, workers
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.errors import DatabaseNewerError
from flowforge.kit.database.schema import SchemaState, check_schema, require_current
from flowforge.kit.errors import AlreadyExistsError
from flowforge.kit.values import JsonValue
from flowforge.upkeep.archive import check_archive
from flowforge.upkeep.backup import BackupPlan, make_backup
from flowforge.upkeep.connecting import open_upkeep, writing
from flowforge.upkeep.errors import ArchiveInvalidError, ArchiveUnfitError, TargetNotEmptyError, WorkersAliveError
from flowforge.upkeep.fencing import YEAR_2020_MS
from flowforge.upkeep.restore import RESTORING, RestorePlan, restore_backup
from flowforge.upkeep.tables import keep_away, list_tables

KINDS: Sequence[Kind] = ("sqlite", "postgres", "mysql")
CLOCK = SystemClock()
BARE = BackupPlan(has_files=False, has_keys=False)
FENCED = {"workers", "runs", "queue", "jobs", "inbox", "leases"}
"""Tables that a restore changes."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return cast("Kind", request.param)


def test_backup_and_restore_bring_back_every_row(ground: Ground, tmp_path: Path, kind: Kind):
    folder, url = ground.folder(), ground.upgraded(kind)
    fill(url)
    before = read_everything(url)
    path = tmp_path / "one.flowforge"
    manifest = make_backup(url, folder, path, BARE, CLOCK)
    assert {name: rows for name, rows in manifest.tables.items() if rows} == {
        name: len(rows) for name, rows in before.items() if rows
    }
    assert path.stat().st_mode & 0o077 == 0
    target = ground.bare(kind)
    restored = restore_backup(target, ground.folder(), path, RestorePlan(), CLOCK)
    after = read_everything(target)
    assert {name: rows for name, rows in after.items() if name not in FENCED} == {
        name: rows for name, rows in before.items() if name not in FENCED
    }
    assert restored.fenced.runs == 1
    assert restored.fenced.jobs == 2
    assert check_schema(target).state is SchemaState.CURRENT
    assert read_everything(url) == before, "the source is as it was"


def test_restore_fences_what_was_before(ground: Ground, tmp_path: Path, kind: Kind):
    url, target = ground.upgraded(kind), ground.bare(kind)
    fill(url)
    path = tmp_path / "one.flowforge"
    make_backup(url, ground.folder(), path, BARE, CLOCK)
    begun_ms = CLOCK.now_ms()
    fenced = restore_backup(target, ground.folder(), path, RestorePlan(), CLOCK).fenced
    assert (fenced.workers, fenced.runs, fenced.jobs) == (1, 1, 2)
    found = {row["no"]: row for row in read_rows(target, select(runs))}
    assert all(found[no]["owner"] is None for no in found)
    assert all(found[no]["epoch"] >= begun_ms - 2_000 for no in (OWNED, WAITING, WITH_JOBS))
    assert found[ENDED]["epoch"] == 3
    assert found[OWNED]["status"] == "queued"
    places = {row["run_no"]: row for row in read_rows(target, select(queue))}
    assert places[OWNED]["cause"] == "released"
    assert places[OWNED]["due_at"] >= begun_ms - 2_000
    assert places[WAITING]["due_at"] > 2**60, "what waits for a message goes on waiting"
    assert places[WITH_JOBS]["cause"] == "mail"
    assert [row["key"] for row in read_rows(target, select(jobs))] == ["free"]
    mails = [json.loads(row["body"]) for row in read_rows(target, select(inbox).where(inbox.c.kind == "job"))]
    assert sorted(mails, key=lambda mail: cast("str", mail["step"])) == [
        {"step": "dropped", "attempt": 1, "lost": "expired"},
        {"step": "taken", "attempt": 1, "lost": "expired"},
    ]
    assert found[WITH_JOBS]["mail"] == 2
    assert [row["dead"] for row in read_rows(target, select(workers))] == [1, 1]
    (lease,) = read_rows(target, select(leases))
    assert lease["epoch"] >= begun_ms - 2_000
    assert lease["expires_at"] == 0


def test_numbers_go_on_above_any_that_were_seen(ground: Ground, tmp_path: Path, kind: Kind):
    url, target = ground.upgraded(kind), ground.bare(kind)
    fill(url)
    path = tmp_path / "one.flowforge"
    make_backup(url, ground.folder(), path, BARE, CLOCK)
    least = (CLOCK.now_ms() - YEAR_2020_MS) // 1_000 - 2
    restore_backup(target, ground.folder(), path, RestorePlan(), CLOCK)
    worker = insert(workers).values(name="new", expires_at=AT, dead=0)
    mail = insert(inbox).values(run_no=1, kind="signal", body="{}", sender="a", unread=1)
    event = insert(outbox).values(
        workspace_id="w", aggregate_type="run", aggregate_id="r", event_type="e", payload="{}", created_at=AT
    )
    line = insert(step_logs).values(run_no=1, at=AT, level="info", step="a", attempt=1, message="m", fields="{}")
    change_rows(target, worker, mail, event, line)
    numbers = [max(row["no"] for row in read_rows(target, select(table.c.no))) for table in (workers, inbox, outbox, step_logs)]
    assert numbers[0] >= least
    assert numbers[1] >= least * 1_000_000
    assert numbers[2] >= least * 1_000_000
    assert numbers[3] == 4


def test_restore_refuses_what_is_not_empty_and_replaces_it_when_told(ground: Ground, tmp_path: Path, kind: Kind):
    url, target = ground.upgraded(kind), ground.upgraded(kind)
    fill(url, size=3)
    path = tmp_path / "one.flowforge"
    make_backup(url, ground.folder(), path, BARE, CLOCK)
    fill(target, size=6)
    folder, before = ground.folder(), read_everything(target)
    with pytest.raises(TargetNotEmptyError, match="--replace"):
        restore_backup(target, folder, path, RestorePlan(), CLOCK)
    assert read_everything(target) == before
    restore_backup(target, folder, path, RestorePlan(is_replacing=True), CLOCK)
    assert len(read_rows(target, select(runs))) == 7


def test_restore_refuses_while_somebody_works(ground: Ground, tmp_path: Path, kind: Kind):
    url, target = ground.upgraded(kind), ground.upgraded(kind)
    fill(url, size=3)
    path = tmp_path / "one.flowforge"
    make_backup(url, ground.folder(), path, BARE, CLOCK)
    change_rows(target, insert(workers).values(name="busy", expires_at=CLOCK.now_ms() + 60_000, dead=0))
    with pytest.raises(WorkersAliveError, match="busy"):
        restore_backup(target, ground.folder(), path, RestorePlan(), CLOCK)
    restore_backup(target, ground.folder(), path, RestorePlan(is_forced=True), CLOCK)
    assert all(row["dead"] for row in read_rows(target, select(workers)))


def test_half_a_restore_is_used_by_nobody(ground: Ground, tmp_path: Path):
    url, target = ground.upgraded("postgres"), ground.bare("postgres")
    fill(url, size=3)
    path = tmp_path / "one.flowforge"
    make_backup(url, ground.folder(), path, BARE, CLOCK)
    with open_upkeep(target) as engine, writing(engine) as connection:
        for table in list_tables():
            table.create(connection)
        keep_away(connection, RESTORING)
    with pytest.raises(DatabaseNewerError):
        require_current(target)
    with pytest.raises(TargetNotEmptyError, match="not brought to its end"):
        restore_backup(target, ground.folder(), path, RestorePlan(), CLOCK)
    restore_backup(target, ground.folder(), path, RestorePlan(is_replacing=True), CLOCK)
    require_current(target)


def test_tables_of_another_program_are_never_replaced(ground: Ground, tmp_path: Path):
    url, target = ground.upgraded("sqlite"), ground.upgraded("sqlite")
    path = tmp_path / "one.flowforge"
    make_backup(url, ground.folder(), path, BARE, CLOCK)
    with open_upkeep(target) as engine, writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE customers (id INTEGER)")
    with pytest.raises(TargetNotEmptyError, match="customers"):
        restore_backup(target, ground.folder(), path, RestorePlan(is_replacing=True, is_forced=True), CLOCK)


def test_backup_of_one_kind_is_not_restored_to_another(ground: Ground, tmp_path: Path):
    path = tmp_path / "one.flowforge"
    make_backup(ground.upgraded("sqlite"), ground.folder(), path, BARE, CLOCK)
    with pytest.raises(ArchiveUnfitError, match="db copy"):
        restore_backup(ground.bare("postgres"), ground.folder(), path, RestorePlan(), CLOCK)


def test_backup_takes_files_and_keys_as_told(ground: Ground, tmp_path: Path):
    folder, target = ground.folder(), ground.folder()
    url = ground.upgraded("sqlite", folder)
    fill(url, size=1)
    (folder.files / "ab").mkdir()
    (folder.files / "ab" / "file_1").write_bytes(b"one")
    (folder.files / ".staging").mkdir()
    (folder.files / ".staging" / ".draft-1").write_bytes(b"half")
    folder.keyring.write_text("{}")
    plain, whole = tmp_path / "plain", tmp_path / "whole"
    assert make_backup(url, folder, plain, BARE, CLOCK).members.keys() == {"database.sqlite"}
    manifest = make_backup(url, folder, whole, BackupPlan(has_files=True, has_keys=True), CLOCK)
    assert manifest.members.keys() == {"database.sqlite", "files/ab/file_1", "keys/keyring.json"}
    restored = restore_backup(ground.bare("sqlite", target), target, whole, RestorePlan(), CLOCK)
    assert (restored.files, restored.has_keys) == (1, True)
    assert (target.files / "ab" / "file_1").read_bytes() == b"one"
    assert target.keyring.read_text() == "{}"
    again = restore_backup(url, folder, whole, RestorePlan(is_replacing=True), CLOCK)
    assert again.files == 0, "a file that is there is right"
    assert [path.name for path in folder.keyring.parent.glob("keyring-before-*")] != []


def test_backup_overwrites_nothing(ground: Ground, tmp_path: Path):
    path = tmp_path / "one.flowforge"
    path.write_text("mine")
    with pytest.raises(AlreadyExistsError):
        make_backup(ground.upgraded("sqlite"), ground.folder(), path, BARE, CLOCK)
    assert path.read_text() == "mine"


def test_backup_of_an_older_revision_is_upgraded(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from flowforge.kit.database.migrating import migrate_to

    source, folder = ground.bare("sqlite"), ground.folder()
    migrate_to(source, "0001")
    change_rows(source, insert(workers).values(name="a", expires_at=AT, dead=0).compile().statement)
    path = tmp_path / "one.flowforge"
    monkeypatch.setattr("flowforge.upkeep.backup.require_current", lambda url: None)  # type: ignore[misc]
    manifest = make_backup(source, folder, path, BARE, CLOCK)
    assert manifest.revision == "0001"
    target = ground.bare("sqlite")
    restore_backup(target, ground.folder(), path, RestorePlan(), CLOCK)
    require_current(target)
    event = insert(outbox).values(
        workspace_id="w", aggregate_type="run", aggregate_id="r", event_type="e", payload="{}", created_at=AT
    )
    change_rows(target, event)
    assert read_rows(target, select(outbox.c.no))[0]["no"] > 10**12


class TestDamage:
    @pytest.fixture
    def path(self, ground: Ground, tmp_path: Path) -> Path:
        folder, path = ground.folder(), tmp_path / "one.flowforge"
        url = ground.upgraded("sqlite", folder)
        fill(url, size=2)
        (folder.files / "ab").mkdir()
        (folder.files / "ab" / "file_1").write_bytes(os.urandom(5_000))
        make_backup(url, folder, path, BackupPlan(has_files=True, has_keys=False), CLOCK)
        return path

    def test_whole_archive_passes(self, path: Path):
        assert check_archive(path).has_files

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
    def test_archive_that_was_cut_off(self, path: Path, share: float):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ArchiveInvalidError):
            check_archive(path)

    @pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.8, 0.95])
    def test_archive_with_a_changed_byte(self, path: Path, share: float):
        data = bytearray(path.read_bytes())
        data[int(len(data) * share)] ^= 0x55
        path.write_bytes(data)
        with pytest.raises(ArchiveInvalidError):
            check_archive(path)

    def test_members_that_no_backup_has(self, path: Path, tmp_path: Path):
        inner = tmp_path / "x"
        inner.write_text("x")
        for name in ("/etc/passwd", "files/../../x", "files/.ssh", "database.txt"):
            with tarfile.open(path, "w:gz") as tar:
                tar.add(inner, arcname=name)
            with pytest.raises(ArchiveInvalidError, match="no backup"):
                check_archive(path)
        with tarfile.open(path, "w:gz") as tar:
            link = tarfile.TarInfo("files/link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        with pytest.raises(ArchiveInvalidError, match="no backup"):
            check_archive(path)

    def test_member_that_was_exchanged(self, path: Path, tmp_path: Path):
        with tarfile.open(path) as tar:
            tar.extractall(tmp_path / "all", filter="data")
        (tmp_path / "all" / "files" / "ab" / "file_1").write_bytes(b"another")
        with tarfile.open(path, "w:gz") as tar:
            for name in ("database.sqlite", "files/ab/file_1", "manifest.json"):
                tar.add(tmp_path / "all" / name, arcname=name)
        with pytest.raises(ArchiveInvalidError, match="SHA-256"):
            check_archive(path)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [({"format": 2}, "newer"), ({"kind": "oracle"}, "not known"), ({"more": 1}, "cannot be read"), ({"tables": []}, "read")],
    )
    def test_manifest_that_is_none_of_ours(self, path: Path, tmp_path: Path, changes: dict[str, JsonValue], reason: str):
        with tarfile.open(path) as tar:
            tar.extractall(tmp_path / "all", filter="data")
        manifest = tmp_path / "all" / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))
        with tarfile.open(path, "w:gz") as tar:
            for name in ("database.sqlite", "files/ab/file_1", "manifest.json"):
                tar.add(tmp_path / "all" / name, arcname=name)
        with pytest.raises(ArchiveInvalidError, match=reason):
            check_archive(path)

    def test_file_of_another_kind(self, tmp_path: Path):
        other = tmp_path / "other"
        for data in (b"", b"hello", gzip.compress(b"hello"), b"PK\x03\x04" + bytes(100)):
            other.write_bytes(data)
            with pytest.raises(ArchiveInvalidError):
                check_archive(other)
        with pytest.raises(ArchiveInvalidError, match="no such file"):
            check_archive(tmp_path / "missing")
        with pytest.raises(ArchiveInvalidError, match="folder"):
            check_archive(tmp_path)

    def test_newer_revision_is_refused_before_anything_is_changed(self, ground: Ground, tmp_path: Path):
        url, target = ground.upgraded("sqlite"), ground.bare("sqlite")
        path = tmp_path / "two.flowforge"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("flowforge.upkeep.dumping.read_revision", lambda connection: "9999")  # type: ignore[misc]
            make_backup(url, ground.folder(), path, BARE, CLOCK)
        with pytest.raises(ArchiveUnfitError, match="9999"):
            restore_backup(target, ground.folder(), path, RestorePlan(), CLOCK)
        assert check_schema(target).state is SchemaState.EMPTY


def test_backup_is_one_moment_though_work_goes_on(ground: Ground, tmp_path: Path, kind: Kind):
    """Each transaction adds a run and its queue row; a backup beside them never has one without the other."""
    import threading

    url, folder = ground.upgraded(kind), ground.folder()
    fill(url, size=5)
    stop = threading.Event()
    done: list[int] = []

    def work() -> None:
        from tests.support.filled import make_place, make_run

        with open_upkeep(url) as engine:
            number = 100
            while not stop.is_set():
                number += 1
                with writing(engine) as connection:
                    connection.execute(insert(runs), make_run((30 << 32) | number))
                    connection.execute(insert(queue), make_place((30 << 32) | number))
                    connection.execute(update(leases).values(epoch=number))
                done.append(number)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        manifest = make_backup(url, folder, tmp_path / "one", BARE, CLOCK)
    finally:
        stop.set()
        worker.join()
    assert done
    assert manifest.tables["runs"] - manifest.tables["queue"] == 7
    target = ground.bare(kind)
    restore_backup(target, ground.folder(), tmp_path / "one", RestorePlan(is_forced=True), CLOCK)
