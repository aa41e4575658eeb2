"""URLs of mail servers."""

import pytest

from flowforge.kit.mail.errors import MailError, MailFault
from flowforge.kit.mail.servers import MailServer, TlsMode, parse_server

ALL = ("smtp", "smtps", "imap", "imaps")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtps://mail.example.com", MailServer("mail.example.com", 465, TlsMode.IMPLICIT)),
        ("smtp://mail.example.com", MailServer("mail.example.com", 587, TlsMode.STARTTLS)),
        ("smtp://Mail.Example.com.:2525/?tls=none", MailServer("mail.example.com", 2525, TlsMode.NONE)),
        ("smtp://localhost:1025", MailServer("localhost", 1025, TlsMode.NONE)),
        ("smtp://localhost?tls=starttls", MailServer("localhost", 587, TlsMode.STARTTLS)),
        ("smtp://[::1]:25", MailServer("::1", 25, TlsMode.NONE)),
        ("imaps://u%40x:p%3Aw%2F@imap.example.com", MailServer("imap.example.com", 993, TlsMode.IMPLICIT, "u@x", "p:w/")),
        ("imap://u:p@127.0.0.1", MailServer("127.0.0.1", 143, TlsMode.NONE, "u", "p")),
    ],
)
def test_a_url_is_read(url: str, server: MailServer):
    assert parse_server(url, ALL) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://mail.example.com",
        "mail.example.com:587",
        "smtp://",
        "smtp://:587",
        "smtp://mail.example.com:99999",
        "smtp://mail.example.com:0",
        "smtp://mail.example.com:x",
        "smtp://mail.example.com/path",
        "smtp://mail.example.com#x",
        "smtp://mail.example.com?verify=false",
        "smtp://mail.example.com?tls=maybe",
        "smtps://mail.example.com?tls=none",
        "smtp://mail.exa mple.com",
        "smtp://mail.example.com\r\nEHLO x",
        "smtp://u:p@mail.example.com?tls=none",
        "smtp://:p@mail.example.com",
        "smtp://u%0d%0a:p@mail.example.com",
        "smtp://good@127.0.0.1\\@mail.example.com",
        "smtp://[::1",
        "smtp://mail.example.com:587:588",
        f"smtp://{'a' * 5_000}",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_shown(url: str):
    with pytest.raises(MailError) as caught:
        parse_server(url, ALL)
    assert caught.value.fault is MailFault.SERVER_INVALID
    assert "u:p" not in caught.value.message
    assert caught.value.message.endswith(".")


def test_what_is_given_apart_wins():
    server = parse_server("smtps://a:b@mail.example.com", ALL, user="c", token="t")
    assert (server.user, server.password, server.token) == ("c", "b", "t")


def test_a_server_shows_no_secret():
    assert "secret" not in repr(parse_server("smtps://a:secret1@mail.example.com", ALL, token="secret2", authority="secret3"))


def test_an_authority_that_is_no_certificate_is_refused():
    server = parse_server(
        "smtps://mail.example.com", ALL, authority="-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"
    )
    with pytest.raises(MailError) as caught:
        server.make_tls_context()
    assert caught.value.fault is MailFault.SERVER_INVALID
