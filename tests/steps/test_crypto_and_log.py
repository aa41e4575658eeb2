import hashlib
import hmac
from base64 import b64encode

import pytest
from tests.support.attempts import Attempts

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure, validate_parameters
from flowforge.steps.crypto.hash import hash_data
from flowforge.steps.crypto.hmac import sign
from flowforge.steps.log.write import write

ALGORITHMS = ["sha256", "sha384", "sha512", "sha3_256", "blake2b", "sha1", "md5"]


def digest_of(output: JsonValue) -> JsonValue:
    assert isinstance(output, dict)
    return output["digest"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_hash_and_hmac_agree_with_the_standard_library(algorithm: str):
    data = "grüße".encode()
    encoded = b64encode(data).decode()
    expected = hashlib.new(algorithm, data).digest()
    assert call_pure(hash_data, {"text": "grüße", "algorithm": algorithm}) == {"digest": expected.hex(), "algorithm": algorithm}
    assert (
        digest_of(call_pure(hash_data, {"base64": encoded, "algorithm": algorithm, "encoding": "base64"}))
        == b64encode(expected).decode()
    )
    signed = await Attempts({}).call(sign, {"text": "grüße", "key": "k", "algorithm": algorithm})
    assert digest_of(signed) == hmac.new(b"k", data, algorithm).hexdigest()


async def test_a_key_may_be_bytes():
    given: JsonObject = {"text": "Hi There", "key": b64encode(b"\x0b" * 20).decode(), "key_encoding": "base64"}
    # RFC 4231, test case 1
    assert digest_of(await Attempts({}).call(sign, given)) == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"


def test_a_digest_for_urls_has_no_padding():
    assert (
        digest_of(call_pure(hash_data, {"text": "hello", "encoding": "base64url"}))
        == "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"
    )


@pytest.mark.parametrize(
    "parameters", [{}, {"text": "a", "base64": "YQ=="}, {"text": "a", "algorithm": "crc32"}, {"text": "a", "encoding": "binary"}]
)
def test_faulty_parameters_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(hash_data, parameters)


def test_what_is_no_base64_is_told():
    with pytest.raises(FatalError) as caught:
        call_pure(hash_data, {"base64": "%%%"})
    assert caught.value.code == "base64_invalid"


async def test_a19_a_key_is_not_shown():
    with pytest.raises(FatalError) as caught:
        await Attempts({}).call(sign, {"text": "x", "key": "s3cret-key", "key_encoding": "base64"})
    assert "s3cret" not in caught.value.message
    assert sign.secret_parameters == {"key"}
    assert not sign.is_pure


async def test_a_line_is_logged_once_with_secrets_masked():
    attempts = Attempts({}, secrets=("s3cret-key",))
    output = await attempts.call(
        write, {"message": "Got s3cret-key", "level": "warning", "fields": {"count": 1, "list": ["s3cret-key"]}}
    )
    assert output is None
    assert attempts.log == [("warning", "Got ***", {"count": 1, "list": ["***"]})]


@pytest.mark.parametrize("parameters", [{}, {"message": ""}, {"message": "x", "level": "fatal"}, {"message": "x" * 10_001}])
def test_a_line_that_cannot_be_logged_is_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(write, parameters)
