"""Encryption, keys, encodings and tokens."""

import json
from base64 import urlsafe_b64encode
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.attempts import Attempts

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import call_pure
from flowforge.steps.crypto.decode import decode
from flowforge.steps.crypto.decrypt import decrypt
from flowforge.steps.crypto.encode import encode
from flowforge.steps.crypto.encrypt import encrypt
from flowforge.steps.crypto.generate_key import generate_key
from flowforge.steps.crypto.sign_jwt import sign_jwt
from flowforge.steps.crypto.verify_jwt import verify_jwt
from flowforge.steps.encoded import AnyEncoding, read_bytes, write_bytes

KEY = "00" * 32
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def fields(value: JsonValue) -> dict[str, str]:
    assert isinstance(value, dict)
    return cast("dict[str, str]", value)


@given(TEXTS, TEXTS)
async def test_what_is_encrypted_is_decrypted(text: str, context_data: str):
    attempts = Attempts({})
    sealed = fields(await attempts.call(encrypt, {"data": text, "key": KEY, "context_data": context_data}))
    assert await attempts.call(decrypt, {**sealed, "key": KEY, "context_data": context_data}) == {"data": text}


@pytest.mark.parametrize("changed", ["encrypted", "iv", "tag", "key", "context_data"])
async def test_anything_changed_is_found_out(changed: str):
    attempts = Attempts({})
    sealed: JsonObject = {**fields(await attempts.call(encrypt, {"data": "hello", "key": KEY})), "key": KEY}
    if changed == "key":
        sealed["key"] = "11" * 32
    elif changed == "context_data":
        sealed["context_data"] = "another record"
    else:
        text = str(sealed[changed])
        sealed[changed] = ("A" if text[0] != "A" else "B") + text[1:]
    with pytest.raises(FatalError) as caught:
        await attempts.call(decrypt, sealed)
    assert caught.value.code == "decryption_failed"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"key": "00"}, "key_invalid"),
        ({"key": "xy"}, "encoding_invalid"),
        ({"iv": "AAAA"}, "encoding_invalid"),
        ({"tag": "?"}, "encoding_invalid"),
    ],
)
async def test_parts_that_cannot_be_are_named(wrong: JsonObject, code: str):
    attempts = Attempts({})
    sealed = fields(await attempts.call(encrypt, {"data": "hello", "key": KEY}))
    with pytest.raises(FatalError, match=next(iter(wrong))) as caught:
        await attempts.call(decrypt, {**sealed, "key": KEY, **wrong})
    assert caught.value.code == code


async def test_binary_data_is_given_back_in_base64_only():
    attempts = Attempts({})
    sealed = fields(await attempts.call(encrypt, {"data": "/////w==", "data_encoding": "base64", "key": KEY}))
    assert await attempts.call(decrypt, {**sealed, "key": KEY, "data_encoding": "base64"}) == {"data": "/////w=="}
    with pytest.raises(FatalError, match="data_encoding"):
        await attempts.call(decrypt, {**sealed, "key": KEY})


@given(st.binary(), st.sampled_from(["hex", "base64", "base64url", "base32"]))
def test_encodings_give_back_the_bytes(data: bytes, encoding: AnyEncoding):
    text = write_bytes(data, encoding)
    assert read_bytes(text, encoding, "data") == data
    assert read_bytes(f" {text.rstrip('=')}\n", encoding, "data") == data


@given(TEXTS, st.sampled_from(["hex", "base64", "base64url", "base32"]))
def test_encode_and_decode_are_inverse(text: str, encoding: str):
    encoded = fields(call_pure(encode, {"data": text, "encoding": encoding}))["encoded"]
    assert call_pure(decode, {"data": encoded, "encoding": encoding}) == {"decoded": text}


def test_bytes_that_are_no_text_are_told():
    with pytest.raises(FatalError, match="byte 1"):
        call_pure(decode, {"data": "Yf8="})


async def test_keys_differ_and_have_their_length():
    attempts = Attempts({})
    made = [fields(await attempts.call(generate_key, {"length": 20, "encoding": "base64"}))["key"] for _ in range(20)]
    assert len(set(made)) == 20
    assert {len(read_bytes(key, "base64", "key")) for key in made} == {20}


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("ed25519", "EdDSA"), ("ec-p256", "ES256"), ("rsa-3072", "RS256"), ("rsa-3072", "PS256")]
)
async def test_token_of_a_key_pair_is_verified_with_the_public_key(kind: str, algorithm: str):
    attempts = Attempts({})
    pair = fields(await attempts.call(generate_key, {"kind": kind}))
    signing: JsonObject = {"claims": {"sub": "a", "aud": ["x", "y"]}, "key": pair["key"], "algorithm": algorithm, "key_id": "k1"}
    token = fields(await attempts.call(sign_jwt, signing))["token"]
    checked = await attempts.call(
        verify_jwt, {"token": token, "key": pair["public_key"], "algorithm": algorithm, "audience": "y"}
    )
    claims = fields(checked)["claims"]
    assert claims == {"sub": "a", "aud": ["x", "y"], "iat": attempts.now_ms // 1_000, "exp": attempts.now_ms // 1_000 + 3_600}


SHARED = "a-shared-key-of-at-least-32-bytes!!"


async def sign(attempts: Attempts, **claims: JsonValue) -> str:
    return fields(await attempts.call(sign_jwt, {"claims": claims, "key": SHARED}))["token"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": "another-key-of-at-least-32-bytes-long"}, "token_signature"),
        ({"algorithm": "HS512"}, "token_invalid"),
        ({"issuer": "others"}, "token_claims"),
        ({"audience": "others"}, "token_claims"),
        ({"token": "a.b.c"}, "token_invalid"),
        ({"token": ""}, "token_invalid"),
        ({"algorithm": "RS256"}, "key_invalid"),
    ],
)
async def test_a17_token_that_is_not_as_it_should_be_is_refused(change: JsonObject, code: str):
    attempts = Attempts({})
    token = await sign(attempts, iss="us", aud="them")
    with pytest.raises(FatalError) as caught:
        await attempts.call(verify_jwt, {"token": token, "key": SHARED, **change})
    assert caught.value.code == code


async def test_token_holds_for_its_time_only():
    attempts = Attempts({})
    early = await sign(attempts, nbf=attempts.now_ms // 1_000 + 100)
    token = await sign(attempts)
    with pytest.raises(FatalError) as caught:
        await attempts.call(verify_jwt, {"token": early, "key": SHARED})
    assert caught.value.code in {"token_claims", "token_invalid"}
    attempts.now_ms += 3_601_000
    with pytest.raises(FatalError) as caught:
        await attempts.call(verify_jwt, {"token": token, "key": SHARED})
    assert caught.value.code == "token_expired"
    assert await attempts.call(verify_jwt, {"token": token, "key": SHARED, "leeway": "1m"})


def forge(header: JsonObject, claims: JsonObject) -> str:
    parts = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    return ".".join([*parts, ""])


@pytest.mark.parametrize(
    "header",
    [{"alg": "none"}, {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}, {"alg": "HS256", "jku": "https://x.example/"}],
)
async def test_a17_token_cannot_choose_its_key_or_algorithm(header: JsonObject):
    with pytest.raises(FatalError) as caught:
        await Attempts({}).call(verify_jwt, {"token": forge(header, {"sub": "root"}), "key": SHARED})
    assert caught.value.code in {"token_invalid", "token_signature"}


async def test_short_key_of_the_other_side_works_without_a_warning():
    """Warnings fail tests; on the command line they would stand beside the result."""
    attempts = Attempts({})
    signing: JsonObject = {"claims": {"sub": "a"}, "key": "short"}
    token = fields(await attempts.call(sign_jwt, signing))["token"]
    checked = await attempts.call(verify_jwt, {"token": token, "key": "short"})
    assert isinstance(checked, dict)
    assert isinstance(checked["claims"], dict)
    assert checked["claims"]["sub"] == "a"
