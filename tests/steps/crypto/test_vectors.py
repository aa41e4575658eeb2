"""The standards' own test vectors."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.attempts import Attempts

from flowforge.operations.calling import call_pure
from flowforge.steps.crypto.ciphers import CipherParameters
from flowforge.steps.crypto.decrypt import decrypt
from flowforge.steps.crypto.hash import hash_data
from flowforge.steps.crypto.hmac import sign
from flowforge.steps.crypto.verify_jwt import verify_jwt
from flowforge.steps.encoded import write_bytes

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "crypto" / "vectors.json").read_text()
)


@pytest.mark.parametrize("vector", VECTORS["hash"], ids=lambda vector: f"{vector['algorithm']} of {vector['data'] or 'nothing'}")
def test_hash(vector: dict[str, Any]):
    given = {"data": vector["data"], "data_encoding": "hex", "algorithm": vector["algorithm"]}
    assert call_pure(hash_data, given) == {"hash": vector["hash"]}


@pytest.mark.parametrize("vector", VECTORS["hmac"])
async def test_hmac(vector: dict[str, Any]):
    given = {
        "data": vector["data"],
        "data_encoding": "hex",
        "key": vector["key"],
        "key_encoding": "hex",
        "expected": vector["hmac"],
    }
    assert await Attempts({}).call(sign, given) == {"hmac": vector["hmac"], "is_valid": True}


def in_base64(text: str) -> str:
    return write_bytes(bytes.fromhex(text), "base64")


@pytest.mark.parametrize("vector", VECTORS["aes_256_gcm"])
async def test_aes_256_gcm(vector: dict[str, Any]):
    parameters = CipherParameters.model_validate({"key": vector["key"]})
    encrypted, tag = parameters.encrypt(bytes.fromhex(vector["data"]), bytes.fromhex(vector["iv"]))
    assert (encrypted.hex(), tag.hex()) == (vector["encrypted"], vector["tag"])
    given = {name: in_base64(vector[name]) for name in ("encrypted", "iv", "tag")}
    plain = await Attempts({}).call(decrypt, {**given, "key": vector["key"], "data_encoding": "base64"})
    assert plain == {"data": in_base64(vector["data"])}


@pytest.mark.parametrize("vector", VECTORS["jwt"])
async def test_jwt(vector: dict[str, Any]):
    attempts = Attempts({})
    attempts.now_ms = vector["valid_at_s"] * 1_000
    given = {"token": vector["token"], "key": vector["key"], "key_encoding": "base64url", "algorithm": vector["algorithm"]}
    assert await attempts.call(verify_jwt, given) == {"claims": vector["claims"]}
