"""The MySQL driver, with what it leaves open shut. Its parts are used below its public face, so it is pinned to one minor version.

- It connects to an address that was judged before, and holds the certificate against the host's name.
- It never goes on in plain text where encryption is asked for, and never hands the password itself to a server that was not verified.
- The server takes one statement at a time, and gets no file of this machine.
"""

import ssl
from functools import cache
from typing import Any, Final

from flowforge.operations import FatalError
from flowforge.steps.sql.addresses import TlsMode

_PLAIN_PASSWORD_PLUGINS: Final = frozenset({"mysql_clear_password", "mysql_old_password", "dialog"})


class TlsRefusedError(Exception):
    """The server does not speak TLS, or wants the password in the clear."""


def make_tls_context(mode: TlsMode, authority: str | None) -> ssl.SSLContext | None:
    """What the mode of the URL means: `require` and `prefer` encrypt without looking at the certificate.

    Raises:
        FatalError: `tls`: the certificate given is no PEM.
    """
    if mode == "disable":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = mode == "verify-full"
    if not mode.startswith("verify"):
        context.verify_mode = ssl.CERT_NONE
    elif authority is None:
        context.load_default_certs()  # takes 20 ms, so only where they are looked at
    else:
        _trust(context, authority)
    return context


def _trust(context: ssl.SSLContext, pem: str) -> None:
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise FatalError("`authority` is no certificate in PEM form.", code="tls") from None


@cache
def load_connection() -> Any:
    """The class of connections.

    Raises:
        FatalError: `not_installed`.
    """
    try:
        # Start-up cost: the driver takes 80 ms to import; and the extra may be missing.
        from aiomysql.connection import Connection
        from pymysql.constants import CLIENT
    except ImportError as error:
        raise FatalError(
            "The driver for MySQL and MariaDB is not installed; run pip install 'flowforge[mysql]'.", code="not_installed"
        ) from error

    driver_connection: Any = Connection
    flags: Any = CLIENT

    class GuardedConnection(driver_connection):
        """See the module."""

        def __init__(self, *, server_name: str, tls_mode: TlsMode, **facts: Any) -> None:
            parent: Any = super()
            parent.__init__(**facts)
            self._server_name = server_name
            self._tls_mode = tls_mode
            # Rows that an UPDATE found count, changed or not, as in other databases.
            facts_of_connection: Any = self
            facts_of_connection.client_flag &= ~(flags.MULTI_STATEMENTS | flags.LOCAL_FILES)
            facts_of_connection.client_flag |= flags.FOUND_ROWS

        async def _request_authentication(self) -> None:
            if not self.server_capabilities & flags.SSL:
                if self._tls_mode not in {"disable", "prefer"}:
                    raise TlsRefusedError("the server does not encrypt connections")
                self._ssl_context = None
                unencrypted: Any = self
                unencrypted.client_flag &= ~flags.SSL
            self._refuse_plain_password(self._server_auth_plugin)
            self._host = self._server_name
            parent: Any = super()
            await parent._request_authentication()  # noqa: SLF001 - the driver's, extended

        async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
            self._refuse_plain_password(plugin_name.decode("ascii", "replace"))
            parent: Any = super()
            return await parent._process_auth(plugin_name, auth_packet)  # noqa: SLF001 - as above

        def _refuse_plain_password(self, plugin: str) -> None:
            is_verified = self._ssl_context is not None and self._tls_mode.startswith("verify")
            if plugin in _PLAIN_PASSWORD_PLUGINS and not is_verified:
                raise TlsRefusedError("the server wants the password in the clear, which only a verified connection gives")

    return GuardedConnection
