"""Client certificates and authorities of one's own."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from tests.support.network import PUBLIC_ADDRESS, StreamingClient, World
from tests.support.servers import EffectServer, redirect, serve_http

from flowforge.kit.egress import ClientCertificate, EgressClient, EgressError, EgressFault, EgressRequest


@dataclass
class Guarded:
    """A server that demands a certificate, and what opens it."""

    server: EffectServer
    world: World
    authority_pem: str
    certificate: ClientCertificate
    stranger: ClientCertificate

    def ask(self, path: str = "/", certificate: ClientCertificate | None = None) -> EgressRequest:
        return EgressRequest(
            "GET", f"https://api.example{path}", authority_pem=self.authority_pem, client_certificate=certificate
        )


def _issue(authority: trustme.CA) -> ClientCertificate:
    issued = authority.issue_cert("client@example.org")
    chain = "".join(blob.bytes().decode() for blob in issued.cert_chain_pems)
    return ClientCertificate(chain, issued.private_key_pem.bytes().decode())


@pytest.fixture(params=[EgressClient, StreamingClient], ids=["send", "stream"], autouse=True)
def client_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "client_class", request.param)


@pytest.fixture
async def guarded() -> AsyncGenerator[Guarded]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert("api.example", "other.example")
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - its stubs name an optional package
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType] - as above
    context.verify_mode = ssl.CERT_REQUIRED
    async with serve_http(context) as server:
        world = World(ports={443: server.port})
        world.names.set("api.example", [PUBLIC_ADDRESS])
        world.names.set("other.example", [PUBLIC_ADDRESS])
        authority_pem = authority.cert_pem.bytes().decode()
        yield Guarded(server, world, authority_pem, _issue(authority), _issue(trustme.CA()))


async def fault_of(guarded: Guarded, request: EgressRequest) -> EgressError:
    client = guarded.world.make_client()
    with pytest.raises(EgressError) as caught:
        await client.send(request)
    await client.aclose()
    return caught.value


async def test_a_certificate_opens_what_demands_one(guarded: Guarded):
    client = guarded.world.make_client()
    response = await client.send(guarded.ask(certificate=guarded.certificate))
    await client.aclose()
    assert response.status == 200


async def test_without_or_with_a_stranger_s_certificate_it_stays_shut(guarded: Guarded):
    for certificate in (None, guarded.stranger):
        error = await fault_of(guarded, guarded.ask(certificate=certificate))
        assert error.fault in {EgressFault.TLS, EgressFault.CONNECTION_FAILED}
    assert guarded.server.received == []


async def test_an_authority_is_trusted_only_where_it_is_named(guarded: Guarded):
    request = replace(guarded.ask(certificate=guarded.certificate), authority_pem=None)
    assert (await fault_of(guarded, request)).fault is EgressFault.TLS


async def test_connections_are_not_shared_between_certificates(guarded: Guarded):
    client = guarded.world.make_client()
    for _ in range(2):
        await client.send(guarded.ask(certificate=guarded.certificate))
    with pytest.raises(EgressError):
        await client.send(guarded.ask())
    twin = replace(guarded.certificate, key_password="not needed")
    await client.send(guarded.ask(certificate=twin))
    await client.send(guarded.ask(certificate=guarded.certificate))
    await client.aclose()
    # One for the certificate, one that was refused, one for its twin.
    assert len(guarded.world.connected) == 3


async def test_net_09_a_certificate_is_not_shown_to_another_host(guarded: Guarded):
    guarded.server.on("/same", redirect("/end"))
    guarded.server.on("/other", redirect("https://other.example/end"))
    client = guarded.world.make_client()
    assert (await client.send(guarded.ask("/same", guarded.certificate))).status == 200
    await client.aclose()
    assert (await fault_of(guarded, guarded.ask("/other", guarded.certificate))).fault in {
        EgressFault.TLS,
        EgressFault.CONNECTION_FAILED,
    }


async def test_a_key_may_have_a_password(guarded: Guarded):
    key = load_pem_private_key(guarded.certificate.key_pem.encode(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")).decode()
    certificate = replace(guarded.certificate, key_pem=locked, key_password="open sesame")
    client = guarded.world.make_client()
    assert (await client.send(guarded.ask(certificate=certificate))).status == 200
    await client.aclose()
    for password in (None, "wrong"):
        error = await fault_of(guarded, guarded.ask(certificate=replace(certificate, key_password=password)))
        assert error.fault is EgressFault.CERTIFICATE_INVALID


@pytest.mark.parametrize(
    "text", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "ä", "x" * 300_000]
)
async def test_what_is_no_certificate_is_invalid(text: str, guarded: Guarded):
    wrong = [
        guarded.ask(certificate=replace(guarded.certificate, certificate_pem=text)),
        guarded.ask(certificate=replace(guarded.certificate, key_pem=text)),
        replace(guarded.ask(), authority_pem=text),
    ]
    for request in wrong:
        error = await fault_of(guarded, request)
        assert (error.fault, error.is_retryable) == (EgressFault.CERTIFICATE_INVALID, False)
        assert "PRIVATE KEY" not in error.message
    assert guarded.world.connected == []


async def test_a_key_that_is_another_s_is_invalid(guarded: Guarded):
    mixed = replace(guarded.certificate, key_pem=guarded.stranger.key_pem)
    assert (await fault_of(guarded, guarded.ask(certificate=mixed))).fault is EgressFault.CERTIFICATE_INVALID


def _count_open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_no_key_is_left_behind(guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = _count_open_files()
    client = guarded.world.make_client()
    for number in range(5):
        await client.send(guarded.ask(certificate=replace(guarded.certificate, key_password=str(number))))
    await client.aclose()
    await asyncio.wait_for(guarded.server.is_idle.wait(), 5)
    assert not os.listdir(tmp_path)  # noqa: PTH208 - a Path would be called blocking
    assert _count_open_files() <= before + 1
    assert guarded.certificate.key_pem not in repr(guarded.ask(certificate=guarded.certificate))
