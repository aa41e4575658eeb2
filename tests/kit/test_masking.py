import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.masking import Masker

CANARY = 'c4n&ry "to/k€n"?'


@pytest.fixture
def masker() -> Masker:
    masker = Masker()
    masker.add(CANARY)
    return masker


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"GET https://x.example/?token={quote(CANARY)}&a=1",
        urlencode({"token": CANARY}),
        quote_plus(CANARY).lower(),
        json.dumps({"token": CANARY}),
        json.dumps({"token": CANARY}, ensure_ascii=False),
        "Basic " + b64encode(f"user:{CANARY}".encode()).decode(),
        "Basic " + b64encode(f"a:{CANARY}".encode()).decode(),
        "Basic " + b64encode(f"ab:{CANARY}, and more".encode()).decode(),
        urlsafe_b64encode(CANARY.encode()).decode(),
    ],
)
def test_a19_secret_is_masked_in_every_form(masker: Masker, text: str):
    masked = masker.mask(text)
    assert "***" in masked
    assert "c4n" not in masked
    assert b64encode(CANARY.encode())[4:12].decode() not in masked


@given(st.text(st.characters(codec="ascii"), min_size=6, max_size=30), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_with_anything_around_the_secret_is_masked(secret: str, before: bytes, behind: bytes):
    masker = Masker()
    masker.add(secret)
    encoded = b64encode(before + secret.encode() + behind).decode()
    if len(secret) >= 8:
        assert masker.mask(encoded) != encoded


def test_longer_secret_is_masked_before_the_one_inside_it():
    masker = Masker()
    masker.add("pass")
    masker.add("password1")
    assert masker.mask("password1 pass") == "*** ***"


def test_secret_that_is_too_short_is_left_alone():
    masker = Masker()
    masker.add("abc")
    masker.add("")
    assert masker.mask("abc abcabc") == "abc abcabc"


def test_text_without_secrets_stays(masker: Masker):
    assert masker.mask("nothing to see") == "nothing to see"
