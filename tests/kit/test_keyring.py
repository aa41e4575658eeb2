import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.folder import open_data_folder
from flowforge.kit.keyring import (
    Keyring,
    KeyringError,
    Place,
    Sealed,
    UnreadableError,
    draw_key,
    make_key_id,
    open_keyring,
    retire_keys,
    rotate_keyring,
)
from flowforge.kit.settings import Settings

PLACE = Place("secrets", "sec_1", "ws_1")
FIRST_KEY, SECOND_KEY = bytes(range(32)), bytes(range(1, 33))
RING = Keyring(FIRST_KEY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return open_data_folder(tmp_path / "data").keyring


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_at_its_place(plain: bytes):
    assert RING.open(RING.seal(plain, PLACE), PLACE) == plain


@given(st.data())
def test_any_flipped_bit_is_noticed(data: st.DataObject):
    sealed = RING.seal(b"value", PLACE)
    bit = data.draw(st.integers(0, len(sealed.data) * 8 - 1))
    changed = bytearray(sealed.data)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(UnreadableError):
        RING.open(Sealed(sealed.key_id, bytes(changed)), PLACE)


@pytest.mark.parametrize(
    "place", [Place("other", "sec_1", "ws_1"), Place("secrets", "sec_2", "ws_1"), Place("secrets", "sec_1", "ws_2")]
)
def test_tok_43_ciphertext_moved_elsewhere_does_not_open(place: Place):
    with pytest.raises(UnreadableError) as caught:
        RING.open(RING.seal(b"value", PLACE), place)
    assert caught.value.code == "secret_unreadable"
    assert "value" not in caught.value.message


def test_tok_43_ciphertext_does_not_open_under_another_key_id():
    ring = Keyring(FIRST_KEY, (SECOND_KEY,))
    sealed = Sealed(make_key_id(SECOND_KEY), ring.seal(b"value", PLACE).data)
    with pytest.raises(UnreadableError):
        ring.open(sealed, PLACE)


def test_tok_44_retired_key_is_named_in_a_typed_error():
    with pytest.raises(UnreadableError, match=make_key_id(FIRST_KEY)):
        Keyring(SECOND_KEY).open(RING.seal(b"value", PLACE), PLACE)


def test_tok_44_nonce_is_new_each_time():
    sealed = [RING.seal(b"value", PLACE).data for _ in range(200)]
    assert len({data[:12] for data in sealed}) == 200
    assert len({data[12:] for data in sealed}) == 200


@pytest.mark.parametrize("data", [b"", b"short", bytes(12), bytes(28)])
def test_data_that_is_too_short_does_not_open(data: bytes):
    with pytest.raises(UnreadableError):
        RING.open(Sealed(RING.current_key_id, data), PLACE)


def test_seal_is_aes_256_gcm_with_nonce_and_bound_place():
    sealed = RING.seal(b"value", PLACE)
    bound = f'["secrets","sec_1","ws_1","{sealed.key_id}"]'.encode()
    assert AESGCM(FIRST_KEY).decrypt(sealed.data[:12], sealed.data[12:], bound) == b"value"


def test_ring_is_made_at_first_use_for_its_owner_alone(path: Path):
    ring = open_keyring(path, Settings())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = open_keyring(path, Settings())
    assert again.open(ring.seal(b"value", PLACE), PLACE) == b"value"


def test_processes_that_start_together_agree_on_the_ring(path: Path):
    rings: list[Keyring] = []
    threads = [threading.Thread(target=lambda: rings.append(open_keyring(path, Settings()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({ring.current_key_id for ring in rings}) == 1
    assert len(rings) == 8


def test_rotated_ring_writes_with_the_new_key_and_reads_with_the_old(path: Path):
    old = open_keyring(path, Settings())
    sealed = old.seal(b"value", PLACE)
    before = old.current_key_id
    rotate_keyring(path, draw_key())
    new = open_keyring(path, Settings())
    assert new.current_key_id != before
    assert new.open(sealed, PLACE) == b"value"
    retire_keys(path)
    assert open_keyring(path, Settings()).current_key_id == new.current_key_id
    with pytest.raises(UnreadableError):
        open_keyring(path, Settings()).open(sealed, PLACE)


def test_ring_follows_its_file_while_it_is_open(path: Path):
    ring, other = open_keyring(path, Settings()), open_keyring(path, Settings())
    before, sealed_before = ring.current_key_id, ring.seal(b"value", PLACE)
    rotate_keyring(path, SECOND_KEY)
    sealed = ring.seal(b"value", PLACE)
    assert sealed.key_id == ring.current_key_id == make_key_id(SECOND_KEY) != before
    assert other.open(sealed, PLACE) == other.open(sealed_before, PLACE) == b"value"
    path.write_text("{")
    assert ring.open(sealed, PLACE) == b"value", "a file that was damaged meanwhile stops nobody who works"
    assert ring.current_key_id == make_key_id(SECOND_KEY)


def test_key_from_the_settings_writes_and_the_file_still_reads(path: Path):
    sealed = open_keyring(path, Settings()).seal(b"value", PLACE)
    settings = Settings.model_validate({"ENCRYPTION_KEY": SECOND_KEY.hex(), "ENCRYPTION_KEY_PREVIOUS": FIRST_KEY.hex()})
    ring = open_keyring(path, settings)
    assert ring.current_key_id == make_key_id(SECOND_KEY)
    assert ring.open(sealed, PLACE) == b"value"
    assert ring.open(RING.seal(b"old", PLACE), PLACE) == b"old"


def test_key_from_the_settings_needs_no_file(path: Path):
    open_keyring(path, Settings.model_validate({"ENCRYPTION_KEY": SECOND_KEY.hex()}))
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format":2}', '{"format":1,"keys":{},"current":"k_x"}', '{"format":1,"keys":{"k_x":"00"},"current":"k_x"}'],
)
def test_damaged_ring_is_refused_and_kept(path: Path, text: str):
    path.write_text(text)
    with pytest.raises(KeyringError, match="restore it from a backup"):
        open_keyring(path, Settings())
    with pytest.raises(KeyringError):
        rotate_keyring(path, draw_key())
    assert path.read_text() == text


def test_changed_key_is_noticed(path: Path):
    open_keyring(path, Settings())
    text = path.read_text()
    digit = text[text.rindex('"', 0, text.rindex('"')) + 1]
    path.write_text(text.replace(digit, "0" if digit != "0" else "1"))
    with pytest.raises(KeyringError):
        open_keyring(path, Settings())
