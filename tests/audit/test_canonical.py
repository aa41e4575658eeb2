"""RFC 8785 with the vectors of the RFC itself."""

import json
import struct

import pytest

from flowforge.audit.canonical import encode_canonically, format_number, simplify
from flowforge.kit.errors import InvariantError

NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_are_those_of_the_rfc(bits: str, text: str):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert format_number(number) == text
    assert encode_canonically(json.loads(text)).decode() == text


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000"])
def test_what_is_no_number_is_refused(bits: str):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    with pytest.raises(InvariantError):
        encode_canonically(number)


def test_values_are_those_of_the_rfc():
    given = r"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"""
    wanted = r"""{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"""
    assert encode_canonically(json.loads(given)).decode() == wanted


def test_keys_are_sorted_by_utf_16_as_in_the_rfc():
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    encoded = encode_canonically(dict.fromkeys(names))
    assert list(json.loads(encoded)) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_whole_numbers_that_no_double_holds_become_texts():
    assert simplify({"a": [2**53 - 1, 2**53 + 1, -(2**63)], "b": True}) == {
        "a": [2**53 - 1, "9007199254740993", "-9223372036854775808"],
        "b": True,
    }
    with pytest.raises(InvariantError):
        encode_canonically(2**53 + 1)


def test_half_of_a_surrogate_pair_is_refused():
    with pytest.raises(InvariantError):
        encode_canonically("\ud800")
