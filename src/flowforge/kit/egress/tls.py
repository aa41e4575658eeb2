"""What we trust and what we show when a connection is made private."""

import asyncio
import hashlib
import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.messages import ClientCertificate, EgressRequest

PEM_CHARACTERS_MAX: Final = 256 * 1024
_CONTEXTS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class TlsWishes:
    """What a request asks of its connection beside the host. Only requests with the same `key` share connections."""

    client_certificate: ClientCertificate | None = None
    authority_pem: str | None = None
    http2: bool = False
    key: str = ""

    @classmethod
    def of(cls, request: EgressRequest) -> "TlsWishes":
        certificate, authority_pem, http2 = request.client_certificate, request.authority_pem, request.http2
        if certificate is None and authority_pem is None:
            return _WISHES_HTTP2 if http2 else _NO_WISHES
        shown = () if certificate is None else (certificate.certificate_pem, certificate.key_pem, certificate.key_password)
        digest = hashlib.sha256(repr((shown, authority_pem, http2)).encode("utf-8", "surrogatepass"))
        return cls(certificate, authority_pem, http2, digest.hexdigest())


_NO_WISHES: Final = TlsWishes()
_WISHES_HTTP2: Final = TlsWishes(http2=True, key="h2")


class TlsContexts:
    """Makes the TLS contexts, and keeps the last ones used. `trust` makes one with the usual authorities."""

    def __init__(self, trust: Callable[[], ssl.SSLContext]) -> None:
        self._trust = trust
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()

    async def find(self, wishes: TlsWishes) -> ssl.SSLContext:
        """Raises EgressError `certificate_invalid` for a certificate, key or authority that cannot be used."""
        context = self._contexts.get(wishes.key)
        if context is None:
            # In a thread: reading the authorities takes 20 ms, and a key's password may be slow on purpose.
            context = await asyncio.to_thread(self._make, wishes)
            self._contexts[wishes.key] = context
        self._contexts.move_to_end(wishes.key)
        if len(self._contexts) > _CONTEXTS_MAX:
            self._contexts.popitem(last=False)
        return context

    def _make(self, wishes: TlsWishes) -> ssl.SSLContext:
        context = self._trust()
        context.set_alpn_protocols(["h2", "http/1.1"] if wishes.http2 else ["http/1.1"])
        if wishes.authority_pem is not None:
            _add_authority(context, wishes.authority_pem)
        if wishes.client_certificate is not None:
            _show(context, wishes.client_certificate)
        return context


def _add_authority(context: ssl.SSLContext, pem: str) -> None:
    if not pem.isascii() or len(pem) > PEM_CHARACTERS_MAX:
        raise _invalid("authority's certificate", "it is no PEM text")
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise _invalid("authority's certificate", _explain(error)) from None


def _show(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    pem = f"{certificate.certificate_pem}\n{certificate.key_pem}\n"
    if not pem.isascii() or len(pem) > PEM_CHARACTERS_MAX:
        raise _invalid("client certificate", "certificate and key are no PEM text")
    file = _open_nameless_file(pem.encode())
    try:
        # Without a password the library would ask for it at the terminal.
        context.load_cert_chain(f"/dev/fd/{file}", password=certificate.key_password or "")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise _invalid("client certificate", _explain(error)) from None
    finally:
        os.close(file)


def _open_nameless_file(content: bytes) -> int:
    """A descriptor of a file without a name, in memory where the system can: the library reads keys from files only."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("certificate", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    with os.fdopen(os.dup(file), "wb") as writer:
        writer.write(content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _explain(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, ssl.SSLError):
        return "it cannot be read, or the key's password is wrong"
    return "it cannot be read"


def _invalid(what: str, why: str) -> EgressError:
    return EgressError(
        EgressFault.CERTIFICATE_INVALID, f"The {what} cannot be used: {why}; give PEM text that begins with -----BEGIN."
    )
