"""Addresses: strictly where mail is sent to, leniently in what came in."""

import pytest

from flowforge.kit.mail.addresses import MailAddress, parse_address, read_addresses
from flowforge.kit.mail.errors import MailError, MailFault


@pytest.mark.parametrize(
    ("written", "name", "address"),
    [
        ("ada@example.com", "", "ada@example.com"),
        ("  <ada@example.com> ", "", "ada@example.com"),
        ("Ada Lovelace <ada@example.com>", "Ada Lovelace", "ada@example.com"),
        ('"Lovelace, Ada" <ada@example.com>', "Lovelace, Ada", "ada@example.com"),
        (r'"Ada \"the\" L" <ada@example.com>', 'Ada "the" L', "ada@example.com"),
        ("Müller, Jörg <j@EXAMPLE.com>", "Müller, Jörg", "j@example.com"),
        ("a@bücher.example", "", "a@xn--bcher-kva.example"),
        ("a@straße.de", "", "a@xn--strae-oqa.de"),
        ("jörg@example.com", "", "jörg@example.com"),
        ('"odd name"@example.com', "", '"odd name"@example.com'),
        ("a+b/c=d@[192.0.2.1]", "", "a+b/c=d@[192.0.2.1]"),
        ("root@localhost", "", "root@localhost"),
    ],
)
def test_an_address_is_read(written: str, name: str, address: str):
    assert parse_address(written) == MailAddress(name, address)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "a b@example.com",
        "ada@example.com\r\nBcc: eve@example.com",
        "Ada\n <ada@example.com>",
        "ada@exa mple.com",
        "ada@example..com",
        "ada@-example.com",
        "a@b@c",
        "a@b, c@d",
        "<<a@b>",
        'Ada "x <a@b>',
        "ada@\x00example.com",
        "ada@example.com\u2028",
        "a\ud800@example.com",
        f"{'a' * 65}@example.com",
        f"a@{'b' * 300}.com",
        f"{'n' * 300} <a@b>",
        ".a@b",
        "a@b>c",
        "a@☃\u200f.com",
    ],
)
def test_what_is_no_address_is_refused(written: str):
    with pytest.raises(MailError) as caught:
        parse_address(written)
    assert caught.value.fault is MailFault.ADDRESS_INVALID
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("a@b, C <c@d>", [("", "a@b"), ("C", "c@d")]),
        ("=?utf-8?q?J=C3=B6rg=2C_M?= <j@x>, k@y", [("Jörg, M", "j@x"), ("", "k@y")]),
        ('"a, b" <a@b>', [("a, b", "a@b")]),
        ("Team: a@b, c@d;, e@f", [("", "a@b"), ("", "c@d"), ("", "e@f")]),
        ("undisclosed-recipients:;", []),
        ("a@b (the comment (nested), here), c@d", [("", "a@b"), ("", "c@d")]),
        ("<@route.example:a@b>", [("", "a@b")]),
        ("Ada <a@b", [("Ada", "a@b")]),
        ("", []),
        (",,;;", []),
        ('"unclosed <a@b>', [("unclosed", "a@b")]),
    ],
)
def test_a_field_is_read_as_well_as_can_be(field: str, expected: list[tuple[str, str]]):
    assert [(found.name, found.address) for found in read_addresses(field)] == expected


@pytest.mark.parametrize("field", ["(" * 60_000, "<" * 60_000, '"' * 60_000, "a@b," * 15_000, ":;" * 30_000, '\\"' * 30_000])
def test_a_hostile_field_takes_little_time(field: str):
    assert len(read_addresses(field)) <= 15_001


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "a@b"),
        ("Ada", "Ada <a@b>"),
        ("A. B", '"A. B" <a@b>'),
        ('say "x" \\', '"say \\"x\\" \\\\" <a@b>'),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <a@b>"),
        ("two  spaces", "=?utf-8?b?dHdvICBzcGFjZXM=?= <a@b>"),
    ],
)
def test_a_name_is_quoted_or_encoded_where_need_be(name: str, written: str):
    assert MailAddress(name, "a@b").write() == written
    assert read_addresses(written) == [MailAddress(" ".join(name.split()), "a@b")]
