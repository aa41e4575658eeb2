"""Hashes and signatures of texts, bytes and files."""

import hashlib
import hmac
from base64 import b64encode
from pathlib import Path

import pytest
from tests.support.attempts import Attempts, make_services

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure, validate_parameters
from flowforge.steps.crypto.hash import hash_data
from flowforge.steps.crypto.hmac import sign

ALGORITHMS = ["sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "sha1", "md5"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_hash_and_hmac_agree_with_the_standard_library(algorithm: str, tmp_path: Path):
    data = "grüße".encode() * 500_000
    services = make_services(tmp_path)
    objects = services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    file = objects.put(data, name="x", media_type="text/plain").to_json()
    attempts = Attempts(services)
    text: JsonObject = {"data": data.decode(), "algorithm": algorithm}
    stored: JsonObject = {"file": file, "algorithm": algorithm}
    assert call_pure(hash_data, text) == {"hash": hashlib.new(algorithm, data).hexdigest()}
    assert await attempts.call(hash_data, stored) == call_pure(hash_data, text)
    signed = {"hmac": hmac.new(b"k", data, algorithm).hexdigest(), "is_valid": None}
    assert await attempts.call(sign, {**text, "key": "k"}) == signed
    assert await attempts.call(sign, {**stored, "key": "k"}) == signed


def test_data_may_be_bytes_in_base64():
    data: JsonObject = {"data": b64encode(b"hello").decode(), "data_encoding": "base64"}
    assert call_pure(hash_data, data) == call_pure(hash_data, {"data": "hello"})


def test_a_hash_for_urls_has_no_padding():
    assert call_pure(hash_data, {"data": "hello", "encoding": "base64url"}) == {
        "hash": "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"
    }


@pytest.mark.parametrize("expected", ["00" * 32, "", "zz"])
async def test_wrong_signature_is_no_error_but_is_said(expected: str):
    given: JsonObject = {"data": "x", "key": "k", "expected": expected}
    if expected == "zz":
        with pytest.raises(FatalError, match="expected is no hex"):
            await Attempts({}).call(sign, given)
        return
    result = await Attempts({}).call(sign, given)
    assert isinstance(result, dict)
    assert result["is_valid"] is False


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"data": "a", "file": {"$file": {}}},
        {"data": "a", "algorithm": "crc32"},
        {"data": "a", "encoding": "binary"},
        {"data": 1},
    ],
)
def test_faulty_parameters_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(hash_data, parameters)


@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
def test_what_is_not_in_its_encoding_is_told(encoding: str):
    with pytest.raises(FatalError, match=f"^data is no {encoding}") as caught:
        call_pure(hash_data, {"data": "%+/", "data_encoding": encoding})
    assert caught.value.code == "encoding_invalid"


async def test_a19_a_key_is_not_shown():
    with pytest.raises(FatalError) as caught:
        await Attempts({}).call(sign, {"data": "x", "key": "s3cret-key", "key_encoding": "base64"})
    assert "s3cret" not in caught.value.message
    assert sign.secret_parameters == {"key"}
    assert not sign.is_pure
