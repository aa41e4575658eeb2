"""Messages to send, and that reading one gives back what was written."""

from email import message_from_bytes
from email.policy import default
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.kit.mail.addresses import MailAddress, parse_address
from flowforge.kit.mail.composing import (
    MAIL_MAX_BYTES,
    RECIPIENTS_MAX,
    Envelope,
    InlineImage,
    Letter,
    MailFile,
    compose,
    with_blind_copies,
)
from flowforge.kit.mail.errors import MailError, MailFault
from flowforge.kit.mail.plain_text import make_plain_text
from flowforge.kit.mail.reading import read_mail
from flowforge.kit.objects import clean_name

SENDER = parse_address("Shop <shop@example.com>")
TO = (parse_address("ada@example.com"),)
NOW_MS = 1_767_323_045_000


def write(letter: Letter, key: str = "key") -> Envelope:
    return compose(letter, SENDER, key=key, now_ms=NOW_MS)


def fault_of(letter: Letter) -> MailFault:
    with pytest.raises(MailError) as caught:
        write(letter)
    assert caught.value.message.endswith(".")
    return caught.value.fault


def normalize(text: str) -> str:
    """As a message keeps a text: lines ended by LF, the last one too."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return unified if unified.endswith("\n") else f"{unified}\n"


def test_the_fields():
    letter = Letter(
        to=TO, subject="Hello", text="Hi", reply_to=TO, cc=(parse_address("B <b@x.de>"),), headers=(("X-Kind", "test"),)
    )
    message: Any = message_from_bytes(write(letter).data, policy=cast("Any", default))
    assert [message[name] for name in ("From", "To", "Cc", "Reply-To", "Subject", "X-Kind", "Auto-Submitted")] == [
        "Shop <shop@example.com>", "ada@example.com", "B <b@x.de>", "ada@example.com", "Hello", "test", "auto-generated",
    ]  # fmt: skip
    assert message["Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"
    assert not message.defects


def test_the_same_key_gives_the_same_message():
    letter = Letter(to=TO, subject="x", text="y", html="<p>y</p>", attachments=(MailFile("a", "text/plain", b"z"),))
    assert write(letter) == write(letter)
    assert write(letter).message_id != write(letter, "other").message_id
    assert write(letter).message_id.endswith("@example.com>")


def test_a_blind_copy_is_in_no_field():
    letter = Letter(to=(), bcc=(parse_address("secret@example.com"),), subject="x", text="y")
    envelope = write(letter)
    assert b"secret" not in envelope.data
    assert [recipient.address for recipient in envelope.recipients] == ["secret@example.com"]
    assert b"Bcc: secret@example.com\r\n" in with_blind_copies(envelope)


def test_an_address_that_is_given_twice_gets_one_mail():
    envelope = write(Letter(to=TO, cc=TO, bcc=TO, subject="x", text="y"))
    assert len(envelope.recipients) == 1


@pytest.mark.parametrize("subject", ["a\r\nBcc: eve@example.com", "a\nb", "a\rb", "a\x00b", "a\u2028b", "a\x85b"])
def test_a_line_break_in_the_subject_is_refused(subject: str):
    assert fault_of(Letter(to=TO, subject=subject, text="x")) is MailFault.HEADER_INVALID


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("X-A", "a\r\nBcc: eve@example.com", MailFault.HEADER_INVALID),
        ("X-A\r\nBcc", "eve@example.com", MailFault.HEADER_INVALID),
        ("X A", "b", MailFault.HEADER_INVALID),
        ("X-A:", "b", MailFault.HEADER_INVALID),
        ("", "b", MailFault.HEADER_INVALID),
        ("X-Ä", "b", MailFault.HEADER_INVALID),
        ("X-A", "b" * 9_000, MailFault.HEADER_INVALID),
        ("Bcc", "eve@example.com", MailFault.HEADER_RESERVED),
        ("from", "eve@example.com", MailFault.HEADER_RESERVED),
        ("Content-Type", "text/html", MailFault.HEADER_RESERVED),
        ("Received", "x", MailFault.HEADER_RESERVED),
        ("DKIM-Signature", "x", MailFault.HEADER_RESERVED),
    ],
)
def test_a_header_that_cannot_be_is_refused(name: str, value: str, fault: MailFault):
    assert fault_of(Letter(to=TO, subject="x", text="y", headers=((name, value),))) is fault


def test_too_many_recipients_and_none_are_refused():
    many = tuple(MailAddress("", f"a{number}@example.com") for number in range(RECIPIENTS_MAX + 1))
    assert fault_of(Letter(to=many, subject="x", text="y")) is MailFault.ADDRESS_INVALID
    assert fault_of(Letter(to=(), subject="x", text="y")) is MailFault.ADDRESS_INVALID
    assert len(write(Letter(to=many[1:], subject="x", text="y")).recipients) == RECIPIENTS_MAX


def test_a_mail_that_is_too_large_is_refused():
    file = MailFile("a.bin", "application/octet-stream", bytes(MAIL_MAX_BYTES * 3 // 4 + 1))
    assert fault_of(Letter(to=TO, subject="x", text="y", attachments=(file,))) is MailFault.TOO_LARGE
    assert fault_of(Letter(to=TO, subject="x", text="ä" * MAIL_MAX_BYTES)) is MailFault.TOO_LARGE


@pytest.mark.parametrize("cid", ["", "a b", "a\r\nb", "a>b", "<a>"])
def test_a_cid_that_cannot_be_is_refused(cid: str):
    image = InlineImage(cid, MailFile("a.png", "image/png", b"x"))
    assert fault_of(Letter(to=TO, subject="x", html="<p>", images=(image,))) is MailFault.HEADER_INVALID


def test_no_line_is_longer_than_may_be():
    letter = Letter(
        to=TO, subject="ü" * 2_000, text="x" * 5_000, headers=(("References", " ".join(f"<{n}@x>" for n in range(200))),)
    )
    data = write(letter).data
    assert data.isascii()
    assert max(len(line) for line in data.split(b"\r\n")) <= 78
    assert b"\n" not in data.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "data",
    [b"Subject: x\r\n\r\nhey\r\n", b"Subject: x\n\nh\xc3\xa4", b"x" * 2_000, b"a\rb"],
    ids=["plain", "8 bit", "long", "lone CR"],
)
def test_a_forwarded_message_arrives(data: bytes):
    letter = Letter(to=TO, subject="x", text="y", attachments=(MailFile("m.eml", "message/rfc822", data),))
    file = read_mail(write(letter).data).attachments[0]
    assert file.name == "m.eml"
    assert file.read().replace(b"\r\n", b"\n").rstrip() == data.replace(b"\r\n", b"\n").rstrip()


def test_from_html_alone_a_text_is_made():
    mail = read_mail(write(Letter(to=TO, subject="x", html="<h1>Hi</h1><p>See <a href='https://example.com/'>here</a></p>")).data)
    assert mail.text == "Hi\n\nSee here (https://example.com/)\n"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb\n"),
        ("a<br>b &amp; c", "a\nb & c\n"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b\n"),
        ("<style>x</style><script>y</script>z", "z\n"),
        ("<table> <tr><td>1</td><td>2</td></tr>\n<tr><td>3</td></tr></table>", "1\t2\n3\n"),
        ("<div><div>a</div>\n<div>b</div></div>", "a\nb\n"),
        ("<a href='javascript:x'>a</a><a href='mailto:b@c'>b@c</a>", "ab@c\n"),
        ("", "\n"),
        ("<p", "<p\n"),
        ("<img alt='Logo'><hr>x", "[Logo]\n\n----\n\nx\n"),
    ],
)
def test_html_as_text(html: str, text: str):
    assert make_plain_text(html) == text


def letters() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"), max_size=120)


FILES = st.builds(
    MailFile,
    st.text(max_size=150),
    st.sampled_from(["text/plain", "text/csv", "application/pdf", "image/png", "application/x-odd+json"]),
    st.binary(max_size=300),
)


@settings(max_examples=300, deadline=None)
@given(letters(), letters(), st.text(max_size=500), st.none() | st.text(max_size=500), st.lists(FILES, max_size=4), letters())
def test_what_is_written_is_read_again(subject: str, name: str, text: str, html: str | None, files: list[MailFile], header: str):
    try:
        "".join((text, html or "", *(file.name for file in files))).encode()
    except UnicodeEncodeError:
        return
    sender = MailAddress(name.strip(), "shop@example.com")
    letter = Letter(
        to=TO, subject=subject.strip(), text=text, html=html, attachments=tuple(files), headers=(("X-Header", header.strip()),)
    )
    mail = read_mail(compose(letter, sender, key="k", now_ms=NOW_MS).data)
    assert mail.subject == subject.strip()
    assert mail.headers["x-header"] == [header.strip()]
    assert mail.sender == (MailAddress(" ".join(name.split()), "shop@example.com"),)
    assert mail.text == normalize(text).replace("\0", "")
    assert mail.html == (None if html is None else normalize(html).replace("\0", ""))
    read = [(file.name, file.media_type, file.read()) for file in mail.attachments]
    assert read == [(clean_name(file.name), file.media_type, file.data) for file in files]
