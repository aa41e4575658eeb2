"""`flowforge keyring rotate`."""

import pytest
from tests.entrypoints.cli.conftest import Cli

from flowforge.entrypoints.cli.commands import keyring as commands
from flowforge.kit.folder import open_data_folder
from flowforge.kit.keyring import open_keyring
from flowforge.kit.settings import Settings


def test_rotation_seals_all_anew_and_a_process_that_is_up_goes_on(cli: Cli):
    cli.ok("secrets", "set", "TOKEN", stdin="s3cr3t")
    running = open_keyring(open_data_folder(cli.data).keyring, Settings())
    before = running.current_key_id
    said = cli.ok("keyring", "rotate")
    assert said.row == {"total": 1, "rotated": 1, "skipped": 0, "failed": [], "key": running.current_key_id}
    assert before != running.current_key_id
    assert "Secrets: 1 of 1 looked at." in said.err
    rows = cli.list_audited()
    assert [(row[0], row[3], row[4]) for row in rows[1:]] == [
        ("keyring.rotated", {"key": before}, {"key": running.current_key_id}),
        ("keyring.reencrypted", None, {"rotated": 1, "failed": 0}),
    ]


def test_rotation_that_was_killed_is_finished_by_the_next_with_the_same_key(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    cli.ok("secrets", "set", "TOKEN", stdin="s3cr3t")
    ring = open_keyring(open_data_folder(cli.data).keyring, Settings())
    with monkeypatch.context() as patch:
        make_key = commands.rotate_keyring

        def die(*given: object) -> None:
            make_key(*given)  # pyright: ignore[reportArgumentType] - handed on
            raise KeyboardInterrupt

        patch.setattr(commands, "rotate_keyring", die)
        assert cli("keyring", "rotate").code == 130
    made = ring.current_key_id
    assert cli.ok("keyring", "rotate").row["rotated"] == 1
    assert ring.current_key_id == made
    assert cli.ok("keyring", "rotate").row["rotated"] == 1
    assert ring.current_key_id != made


def test_key_of_the_settings_stays_the_current_one(cli: Cli):
    cli.ok("secrets", "set", "TOKEN", stdin="s3cr3t")
    given = {"FLOWFORGE_ENCRYPTION_KEY": bytes(range(7, 39)).hex()}
    text = open_data_folder(cli.data).keyring.read_text()
    assert cli("keyring", "rotate", env=given).row["rotated"] == 1
    assert cli("keyring", "rotate", env=given).row["rotated"] == 0
    assert open_data_folder(cli.data).keyring.read_text() == text
