"""Mail addresses: one that is written to is checked strictly, those in a message that came in are read as well as can be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flowforge.kit.mail.errors import MailError, MailFault
from flowforge.kit.mail.words import decode_words, encode_text, holds_control, unfold

_ATOM: Final = r"[^\x00-\x20\x7f\"(),.:;<>@\[\\\]]+"
_LOCAL: Final = re.compile(rf'{_ATOM}(?:\.{_ATOM})*|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"')
_DOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_DOMAIN_LITERAL: Final = re.compile(r"\[(?:[0-9.]{7,15}|IPv6:[0-9a-fA-F:.]{2,45})\]")
_PHRASE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_ADDRESS_MAX_CHARACTERS: Final = 320
_LOCAL_MAX_BYTES: Final = 64
_DOMAIN_MAX_CHARACTERS: Final = 255
_NAME_MAX_CHARACTERS: Final = 256
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\\.|[()<>,:;]|[^"\\()<>,:;]+|["\\]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class MailAddress:
    """A mailbox: a name for people, which may be empty, and `local@domain`. The domain of a checked one is in ASCII (RFC 5891)."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server that knows SMTPUTF8 (RFC 6531) can take it."""
        return not self.address.isascii()

    def write(self) -> str:
        """As it stands in a field: `Name <a@b>`, the name quoted or encoded where need be."""
        if not self.name:
            return self.address
        if _PHRASE.fullmatch(self.name) and "=?" not in self.name and self.name == " ".join(self.name.split()):
            return f"{self.name} <{self.address}>"
        if self.name.isascii() and "=?" not in self.name and self.name == " ".join(self.name.split()):
            escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}" <{self.address}>'
        return f"{_encode_name(self.name)} <{self.address}>"


def _encode_name(name: str) -> str:
    # A name in ASCII comes here for its spaces; encode_text would leave it as it is, or quote nothing.
    encoded = encode_text(name)
    return encoded if encoded.startswith("=?utf-8?b?") else encode_text(f"{name}\u200b").replace("\u200b", "")


def parse_address(written: str) -> MailAddress:
    """One mailbox to write to: `a@b`, `<a@b>` or `Name <a@b>`, the name bare or quoted.

    An internationalised domain is turned into its ASCII form (RFC 5891, mapped as UTS 46 says).

    Raises:
        MailError: `address_invalid`; the message shows what was written.
    """
    if holds_control(written):
        raise _refuse(written, "holds a line break or another control character")
    text = written.strip()
    name = ""
    if text.endswith(">"):
        name, _, text = text[:-1].rpartition("<")
        name, text = _read_name(written, name.strip()), text.strip()
    if len(text) > _ADDRESS_MAX_CHARACTERS:
        raise _refuse(written, f"is longer than {_ADDRESS_MAX_CHARACTERS} characters")
    local, at_sign, domain = text.rpartition("@")
    if not at_sign:
        raise _refuse(written, "has no @")
    if not _LOCAL.fullmatch(local) or len(local.encode()) > _LOCAL_MAX_BYTES:
        raise _refuse(written, "has before the @ what cannot stand there; write one address, such as ada@example.com")
    return MailAddress(name, f"{local}@{_read_domain(written, domain)}")


def _read_name(written: str, name: str) -> str:
    if len(name) > _NAME_MAX_CHARACTERS:
        raise _refuse(written, f"has a name of more than {_NAME_MAX_CHARACTERS} characters")
    if len(name) >= 2 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1]).strip()
    if any(char in name for char in '<>"'):
        raise _refuse(written, "has a name with < > or a quote in it; put the name in double quotes")
    return name


def _read_domain(written: str, domain: str) -> str:
    if _DOMAIN_LITERAL.fullmatch(domain):
        return domain
    ascii_domain = domain.lower() if domain.isascii() else _encode_domain(written, domain)
    if len(ascii_domain) > _DOMAIN_MAX_CHARACTERS or not _DOMAIN.fullmatch(ascii_domain):
        raise _refuse(written, "has after the @ what is no domain name")
    return ascii_domain


def _encode_domain(written: str, domain: str) -> str:
    # Start-up cost: the tables of IDNA take 10 ms to import, and few domains need them.
    import idna

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise _refuse(written, "has after the @ what is no domain name") from None


def _refuse(written: str, why: str) -> MailError:
    shown = written if len(written) <= 80 else written[:80] + "…"
    return MailError(MailFault.ADDRESS_INVALID, f"The address {shown!r} {why}.")


def read_addresses(field: str) -> list[MailAddress]:
    """The mailboxes of an address field as it came (RFC 5322, 3.4), as well as can be; comments and the names of groups are left out."""
    addresses: list[MailAddress] = []
    for tokens in _split_mailboxes(field):
        found = _read_mailbox(tokens)
        if found is not None:
            addresses.append(found)
    return addresses


def _split_mailboxes(field: str) -> Iterator[list[str]]:
    """The tokens of each mailbox, without comments."""
    pieces: list[str] = []
    depth = 0
    in_angle = False
    for match in _TOKEN.finditer(unfold(field)):
        lexeme = match.group()
        if lexeme == "(":
            depth += 1
        elif lexeme == ")" and depth:
            depth -= 1
        elif depth:
            continue
        elif lexeme in ",;" and not in_angle:
            yield pieces
            pieces = []
        elif lexeme == ":" and not in_angle:
            pieces = []
        else:
            in_angle = lexeme == "<" or (in_angle and lexeme != ">")
            pieces.append(lexeme)
    yield pieces


def _read_mailbox(tokens: list[str]) -> MailAddress | None:
    if "<" in tokens:
        start = tokens.index("<")
        inner = tokens[start + 1 :]
        address = "".join(inner[: inner.index(">")] if ">" in inner else inner)
        name = decode_words(" ".join(filter(None, (_unquote(word).strip() for word in tokens[:start] if word != '"'))))
        # A route (RFC 5322, 4.4) stands before the last colon: <@a,@b:c@d>.
        address = address.rpartition(":")[2]
    else:
        name, address = "", "".join(tokens)
    address = "".join(address.split())
    return MailAddress(" ".join(name.split()), address) if address or name else None


def _unquote(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if len(token) >= 2 and token[0] == token[-1] == '"' else token
