"""To which hosts a secret may go."""

import re
from collections.abc import Sequence
from typing import Final

from flowforge.vault.errors import SecretHostMismatchError, VaultInputError
from flowforge.vault.types import Secret

_HOSTS_MAX: Final = 50
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PATTERN: Final = re.compile(rf"(?:(?:\*\.)?{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?")


def parse_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """The allowed hosts in lower case, each once: `api.example.com`, `*.example.com`, `[::1]`, each with an optional `:port`.

    Raises:
        VaultInputError: one of them is of another form (`host_invalid`), or there are more than 50.
    """
    cleaned = tuple(dict.fromkeys(_normalize(host) for host in hosts))
    if len(cleaned) > _HOSTS_MAX:
        raise VaultInputError("hosts", f"A secret may be bound to at most {_HOSTS_MAX} hosts.", "host_invalid")
    for host in cleaned:
        if not _PATTERN.fullmatch(host):
            raise VaultInputError(
                "hosts", f"{host[:80]!r} is no host; write api.example.com, *.example.com or host:port.", "host_invalid"
            )
    return cleaned


def check_host(secret: Secret, target_host: str | None) -> None:
    """Make sure that the secret may be sent to a host (`host` or `host:port`). `None`: the step calls no host.

    Raises:
        SecretHostMismatchError: the secret is bound to hosts, and this is none of them. Nothing may be sent then.
    """
    if secret.hosts and (target_host is None or not any(_matches(host, _normalize(target_host)) for host in secret.hosts)):
        raise SecretHostMismatchError(secret.name, target_host)


def _matches(pattern: str, target: str) -> bool:
    pattern_host, pattern_port = _split_port(pattern)
    host, port = _split_port(target)
    if pattern_port and pattern_port != port:
        return False
    if pattern_host.startswith("*."):
        return host.endswith(pattern_host[1:]) and len(host) > len(pattern_host) - 1
    return host == pattern_host


def _split_port(text: str) -> tuple[str, str]:
    head, separator, port = text.rpartition(":")
    return (head.removesuffix("."), port) if separator and port.isdigit() else (text.removesuffix("."), "")


def _normalize(host: str) -> str:
    bare = host.strip().lower()
    return f"[{bare}]" if bare.count(":") > 1 and not bare.startswith("[") else bare
