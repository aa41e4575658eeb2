"""The installation's signing keys."""

from pathlib import Path

import pytest

from flowforge.kit.folder import DataFolder, open_data_folder
from flowforge.kit.keyring import KeyringError, draw_key, open_keyring, read_signing_secrets, retire_keys, rotate_keyring
from flowforge.kit.settings import Settings
from flowforge.kit.signing import SigningKeys, open_signing, read_public_jwk

FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return open_data_folder(tmp_path / "data")


def make_settings(folder: DataFolder, **given: str) -> Settings:
    return Settings.model_validate({"data": folder.root, **given})


def test_what_was_signed_verifies_with_the_public_key_alone():
    keys = SigningKeys(FIRST)
    key_id, signature = keys.sign(b"text")
    (jwk,) = keys.list_public_jwks()
    assert (jwk["kid"], jwk["kty"], jwk["crv"], jwk["alg"]) == (key_id, "OKP", "Ed25519", "EdDSA")
    key = read_public_jwk(dict[str, object](jwk))
    assert key.id == key_id
    assert key.verify(b"text", signature)
    assert not key.verify(b"other", signature)


def test_the_thumbprint_is_that_of_rfc_8037():
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    key = read_public_jwk({"kty": "OKP", "crv": "Ed25519", "x": x})
    assert key.id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_previous_key_is_still_taken():
    key_id, signature = SigningKeys(FIRST).sign(b"text")
    keys = SigningKeys(SECOND, [FIRST])
    assert keys.verify(key_id, b"text", signature)
    assert not SigningKeys(SECOND).verify(key_id, b"text", signature)
    assert [jwk["kid"] for jwk in keys.list_public_jwks()] == [keys.current.id, key_id]


def test_derived_keys_are_of_one_purpose_and_one_secret():
    keys = SigningKeys(SECOND, [FIRST])
    assert len({keys.derive("csrf"), keys.derive("links"), SigningKeys(FIRST).derive("csrf")}) == 3
    assert keys.derive_all("csrf") == [keys.derive("csrf"), SigningKeys(FIRST).derive("csrf")]


def test_a_secret_is_made_in_the_data_folder_at_first_use(folder: DataFolder):
    keys = open_signing(make_settings(folder), folder)
    assert folder.keyring.stat().st_mode & 0o777 == 0o600
    assert open_signing(make_settings(folder), folder).current == keys.current


def test_a_key_ring_of_before_gets_a_secret_and_keeps_its_keys(folder: DataFolder):
    key_id = open_keyring(folder.keyring, make_settings(folder)).current_key_id
    text = folder.keyring.read_text()
    folder.keyring.write_text(text[: text.index(',"signing"')] + "}")
    secrets = read_signing_secrets(folder.keyring)
    rotate_keyring(folder.keyring, draw_key())
    retire_keys(folder.keyring)
    assert read_signing_secrets(folder.keyring) == secrets
    assert open_keyring(folder.keyring, make_settings(folder)).current_key_id != key_id


def test_the_setting_comes_before_the_folder(folder: DataFolder):
    mine = make_settings(folder, signing_key=FIRST.hex(), signing_key_previous=SECOND.hex())
    assert open_signing(mine, folder).list_public() == SigningKeys(FIRST, [SECOND]).list_public()
    assert not folder.keyring.exists()


@pytest.mark.parametrize("damage", ['"signing":["zz"]', '"signing":["00"]', '"signing":7'])
def test_a_damaged_secret_is_told_of(folder: DataFolder, damage: str):
    open_keyring(folder.keyring, make_settings(folder))
    text = folder.keyring.read_text()
    folder.keyring.write_text(text[: text.index('"signing"')] + damage + "}")
    with pytest.raises(KeyringError):
        open_signing(make_settings(folder), folder)
