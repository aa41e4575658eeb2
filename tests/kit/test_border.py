import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.border import (
    JsonRefusedError,
    check_json,
    decode,
    decode_untrusted,
    digest,
    digest_value,
    encode,
    encode_canonical,
)
from flowforge.kit.errors import InvariantError
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonValue

LIMITS = Limits()

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=5)
    ),
    max_leaves=20,
)


def nest(depth: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(depth):
        value = [value]
    return value


@given(json_values)
def test_checked_value_is_stored_and_read_back_exactly(value: JsonValue):
    assert check_json(value, LIMITS) is value
    assert decode(encode(value)) == value
    assert decode_untrusted(encode(value), LIMITS) == value


@pytest.mark.parametrize(
    ("value", "reason", "path"),
    [
        (2**63, "number_range", ""),
        ({"a": [0, -(2**63) - 1]}, "number_range", "a[1]"),
        ({"a": {"b": float("nan")}}, "number_range", "a.b"),
        ([float("-inf")], "number_range", "[0]"),
        ({"t": "\ud800"}, "encoding", "t"),
        ({"\udfff": 1}, "encoding", "?"),
        ({1: 2}, "json_type", ""),
        ({"a": (1,)}, "json_type", "a"),
        ({"a": b""}, "json_type", "a"),
        (nest(65), "json_depth", "[0]" * 20),
        ({str(number): 1 for number in range(10_001)}, "json_keys", ""),
    ],
)
def test_value_that_cannot_be_stored_is_refused_with_its_place(value: object, reason: str, path: str):
    with pytest.raises(JsonRefusedError) as caught:
        check_json(value, LIMITS)
    assert (caught.value.reason, caught.value.details[0].field) == (reason, path)


def test_value_at_the_limits_passes():
    widest = {str(number): 1 for number in range(10_000)}
    assert check_json([nest(63), widest, 2**63 - 1, -(2**63)], LIMITS) == [nest(63), widest, 2**63 - 1, -(2**63)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"9223372036854775808", "number_range"),
        (b"[-9223372036854775809]", "number_range"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "number_range"),
        (b"1e400", "number_range"),
        (b"[NaN]", "json_invalid"),
        (b"-Infinity", "json_invalid"),
        (b'"\\ud800"', "encoding"),
        (b"[" * 65 + b"]" * 65, "json_depth"),
        (b"[" * 100_000, "json_depth"),
        (b"[1" + b"1" * 30 + b".5" + b"[" * 100_000, "json_invalid"),
        (b"{'a': 1}", "json_invalid"),
        (b"[1,]", "json_invalid"),
        (b"", "json_invalid"),
        (b"\xff", "encoding"),
    ],
)
def test_text_that_cannot_come_in_is_refused(text: bytes, reason: str):
    with pytest.raises(JsonRefusedError) as caught:
        decode_untrusted(text, LIMITS)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text", ["9223372036854775807", "-9223372036854775808", "1234567890123456789.5", '"12345678901234567890"']
)
def test_long_digits_that_are_exact_come_in(text: str):
    assert decode_untrusted(text.encode(), LIMITS) == decode(text)


def test_text_above_the_limit_is_refused_before_it_is_read():
    with pytest.raises(JsonRefusedError) as caught:
        decode_untrusted(b" " * 2_000, Limits(body_max_bytes=1_024))
    assert caught.value.reason == "body_too_large"


def test_canonical_bytes_do_not_depend_on_the_order_of_keys():
    assert encode_canonical({"b": 1, "a": {"d": 1, "c": 2}}) == b'{"a":{"c":2,"d":1},"b":1}'
    assert digest_value({"b": 1, "a": 2}) == digest_value({"a": 2, "b": 1}) != digest_value({"a": 1, "b": 2})


def test_digest_is_blake2b_of_128_bits():
    # RFC 7693's function with an output of 16 bytes; the empty message is a known answer of its reference implementation.
    assert digest(b"") == "cae66941d9efbd404e4d88758ea67670"


def test_value_that_was_never_checked_is_our_own_fault():
    with pytest.raises(InvariantError):
        encode("\ud800")
    with pytest.raises(InvariantError):
        decode(b"{")
