"""Messages that came in, broken ones above all."""

import time
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.kit.mail.mime import DEPTH_MAX, PARTS_MAX
from flowforge.kit.mail.reading import INLINE_TEXT_MAX_BYTES, read_mail


def message(*fields: str, body: str | bytes = "") -> bytes:
    head = "".join(f"{field}\r\n" for field in fields).encode("utf-8")
    return head + b"\r\n" + (body.encode() if isinstance(body, str) else body)


NESTED = message(
    "From: =?utf-8?q?J=C3=B6rg?= <j@example.com>",
    "To: a@example.com, B <b@example.com>",
    "Subject: =?utf-8?b?UmVjaG51bmcg4oCT?= =?utf-8?q?_Nr=2E_7?=",
    "Date: Fri, 2 Jan 2026 04:04:05 +0100",
    "References: <1@x> <2@x>",
    "In-Reply-To: <2@x>",
    "Content-Type: multipart/mixed; boundary=outer",
    body="""preamble
--outer
Content-Type: multipart/alternative; boundary="in ner"

--in ner
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe=
!
--in ner
Content-Type: multipart/related; boundary=rel

--rel
Content-Type: text/html; charset=utf-8

<img src="cid:logo">
--rel
Content-Type: image/png; name=logo.png
Content-ID: <logo>
Content-Transfer-Encoding: base64
Content-Disposition: inline

iVBORw==
--rel--
--in ner--
--outer
Content-Type: application/pdf
Content-Disposition: attachment; filename*0*=utf-8''Rech; filename*1*=nung%20%E2%80%93; filename*2=" 7.pdf"
Content-Transfer-Encoding: base64

AAEC
Aw==
--outer
Content-Type: message/rfc822

Subject: inner

forwarded
--outer--
epilogue
""",
)


def test_a_message_of_many_parts():
    mail = read_mail(NESTED)
    assert [(person.name, person.address) for person in mail.sender] == [("Jörg", "j@example.com")]
    assert [person.address for person in mail.to] == ["a@example.com", "b@example.com"]
    assert (mail.subject, mail.date) == ("Rechnung – Nr. 7", "2026-01-02T03:04:05Z")
    assert (mail.references, mail.in_reply_to) == (("<1@x>", "<2@x>"), "<2@x>")
    assert (mail.text, mail.html) == ("Grüße!", '<img src="cid:logo">')
    assert [(file.name, file.media_type, file.cid, file.is_inline, file.read()) for file in mail.attachments] == [
        ("logo.png", "image/png", "logo", True, b"\x89PNG"),
        ("Rechnung – 7.pdf", "application/pdf", None, False, b"\x00\x01\x02\x03"),
        ("part-3.eml", "message/rfc822", None, False, b"Subject: inner\n\nforwarded"),
    ]
    assert not mail.is_cut


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\r\n\r\n", b"no head at all", b"\x00\xff\xfe", b"From nobody\nSubject: x\n\nbody", b":\n: x\n\n"]
)
def test_anything_is_a_message(data: bytes):
    mail = read_mail(data)
    assert mail.attachments == ()
    assert "body" in (mail.text or "") if b"body" in data else mail.subject == ""


def test_a_text_without_a_head_is_the_body():
    assert read_mail(b"no head at all").text == "no head at all"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Fri, 2 Jan 2026 04:04:05 +0100", "2026-01-02T03:04:05Z"),
        ("2 Jan 26 03:04 GMT", "2026-01-02T03:04:00Z"),
        ("Fri, 2 Jan 2026 03:04:05 -0000 (a comment)", "2026-01-02T03:04:05Z"),
        ("tomorrow", None),
        ("", None),
        ("Fri, 99 Jan 2026 03:04:05 +0000", None),
        ("Fri, 2 Jan 2026 03:04:05 +9999999999", None),
        ("9" * 5_000, None),
    ],
)
def test_a_date_that_is_none_is_null(written: str, expected: str | None):
    assert read_mail(message(f"Date: {written}")).date == expected


@pytest.mark.parametrize(
    ("charset", "body", "expected"),
    [
        ("utf-8", b"\xc3\xa4\xff", "ä\ufffd"),
        ("x-unknown", b"\xc3\xa4", "ä"),
        ("x-unknown", b"\xe4", "ä"),
        ("us-ascii", b"\xe4", "ä"),
        ("rot13", b"abc", "abc"),
        ("idna", b"xn--abc", "xn--abc"),
        ("ks_c_5601-1987", "가".encode("cp949"), "가"),
        ("gb2312", "镕".encode("gbk"), "镕"),
        ("iso-2022-jp", "日本".encode("iso-2022-jp"), "日本"),
        ("windows-1251", "Да".encode("cp1251"), "Да"),
        ("utf-7", b"+2AA-", "?"),
        ("UTF-16", "hi".encode("utf-16"), "hi"),
        ('"utf-8"', "ß".encode(), "ß"),
        ("", "ß".encode(), "ß"),
    ],
)
def test_character_sets(charset: str, body: bytes, expected: str):
    mail = read_mail(message(f"Content-Type: text/plain; charset={charset}", body=body))
    assert mail.text is not None
    mail.text.encode()
    assert mail.text.replace("\ufffd", "?") == expected.replace("\ufffd", "?")


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("base64", b"aGVsbG8=", b"hello"),
        ("base64", b"aGV sbG8\r\n", b"hello"),
        ("base64", b"aGVsbG8!!!!A", b"hello\x00"),
        ("base64", b"!", b""),
        ("base64", b"=====", b""),
        ("quoted-printable", b"a=3Db=\r\nc=ZZ", b"a=bc=ZZ"),
        ("x-uuencode", b"begin 644 f\n%:&5L;&\\\n`\nend\n", b"hello"),
        ("x-uuencode", b"\xff\xff\xff", b""),
        ("8bit", b"a\r\nb", b"a\r\nb"),
        ("nonsense", b"plain", b"plain"),
    ],
)
def test_transfer_encodings_are_read_as_far_as_they_go(encoding: str, body: bytes, expected: bytes):
    data = message("Content-Type: application/x-data", f"Content-Transfer-Encoding: {encoding}", body=body)
    files = read_mail(data).attachments
    assert files[0].read() == expected


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("attachment; filename=a.txt", "a.txt"),
        ('attachment; filename="a; b.txt"', "a; b.txt"),
        ("attachment; filename==?utf-8?q?=C3=A4.txt?=", "ä.txt"),
        ("attachment; filename*=iso-8859-1'de'%e4.txt", "ä.txt"),
        ("attachment; filename=plain.txt; filename*=utf-8''better.txt", "better.txt"),
        ("attachment; filename*1=b.txt; filename*0=a", "ab.txt"),
        ("attachment; filename*=broken", "broken"),
        ("attachment; filename*0*=utf-8''%; filename*1*=%zz", "%%zz"),
        ("attachment; filename=", "part-1.pdf"),
        ("attachment; =; ;;; filename", "part-1.pdf"),
    ],
)
def test_file_names(written: str, name: str):
    data = message("Content-Type: application/pdf", f"Content-Disposition: {written}", body="x")
    assert read_mail(data).attachments[0].name == name


def test_words_cut_in_the_middle_of_a_letter_are_joined():
    assert read_mail(message("Subject: =?utf-8?q?=C3?=\r\n =?utf-8?q?=A4?= end")).subject == "ä end"


def test_a_bare_8_bit_subject_is_read():
    assert read_mail(b"Subject: Gr\xc3\xbc\xc3\x9fe\n\n").subject == "Grüße"
    assert read_mail(b"Subject: Gr\xfc\xdfe\n\n").subject == "Grüße"


def test_a_folded_field_cannot_smuggle_another_one():
    mail = read_mail(b"Subject: a\r\n\tb =?utf-8?q?=0D=0AX-Evil:_1?=\r\n\r\n")
    assert "x-evil" not in mail.headers
    assert mail.subject.startswith("a b ")


def nest(levels: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level) for level in range(levels))
    return head + b"\n\ndeep\n"


def test_a_message_that_nests_too_deeply_keeps_the_rest_as_a_file():
    mail = read_mail(nest(DEPTH_MAX + 5))
    assert mail.text is None
    assert b"deep" in mail.attachments[0].read()
    assert read_mail(nest(DEPTH_MAX)).text == "\ndeep\n"


def test_a_message_of_too_many_parts_is_cut():
    data = message("Content-Type: multipart/mixed; boundary=b", body="--b\n\nx\n" * (PARTS_MAX + 50))
    mail = read_mail(data)
    assert mail.is_cut
    assert (mail.text or "").count("x") == PARTS_MAX


def test_a_long_text_is_an_attachment():
    data = message("Content-Type: text/plain", body="x" * (INLINE_TEXT_MAX_BYTES + 1))
    mail = read_mail(data)
    assert mail.text is None
    assert len(mail.attachments[0].read()) == INLINE_TEXT_MAX_BYTES + 1


MEBIBYTE = 2**20
HOSTILE = {
    "headers": b"X: y\n" * 200_000 + b"\n",
    "one header": b"Subject: " + b"=?utf-8?q?" * 200_000 + b"\n\n",
    "boundaries": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * (MEBIBYTE // 2),
    "nested": nest(20_000),
    "parameters": b"Content-Type: a/b" + b';x="' * 200_000 + b"\n\n",
    "line ends": b"\r\n" * MEBIBYTE,
    "base64": b"Content-Transfer-Encoding: base64\n\n" + b64encode(b"x" * 2 * MEBIBYTE),
    "half boundaries": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"\r\n--b " * (MEBIBYTE // 2),
    "spaces": b"Content-Type: multipart/mixed; boundary=b\n\n--b" + b" " * 2 * MEBIBYTE + b"x",
    "one encoded word": b"Subject: =?utf-8?q?" + b"=C3=A4" * 200_000 + b"?=\n\n",
    "comments": b"To: " + b"(" * MEBIBYTE + b"\n\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_message_takes_little_time(data: bytes):
    begun = time.process_time()
    mail = read_mail(data)
    for file in mail.attachments:
        file.read()
    assert time.process_time() - begun < 5


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2_000))
def test_no_bytes_make_it_fail(data: bytes):
    mail = read_mail(data)
    texts = (mail.subject, mail.text or "", mail.html or "", *(file.name for file in mail.attachments))
    assert all(text == text.encode().decode() for text in texts)


PIECES = [
    b"Content-Type: multipart/mixed; boundary=x\n", b"\n", b"\r\n", b"--x\n", b"--x--\n", b"Content-Type: text/html\n", b"=?utf-8?b?", b"?=",
    b"Content-Transfer-Encoding: base64\n", b"Content-Disposition: attachment; filename*0*=", b"Subject: ", b"To: ", b"<", b">", b"@", b"(",
    b'"', b"\\", b";", b"Date: ", b"%E4", b"\xff", b"a", b"begin 644 x\n", b"Message-ID: ",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_no_heap_of_pieces_makes_it_fail(pieces: list[bytes]):
    mail = read_mail(b"".join(pieces))
    for file in mail.attachments:
        file.read()
        file.name.encode()
    assert all(text.isprintable() or text for text in mail.headers)
