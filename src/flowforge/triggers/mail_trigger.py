"""The kind `email`: a mailbox whose messages start runs, and how it is signed in there."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.egress import EgressError
from flowforge.kit.errors import Detail
from flowforge.kit.keyring import Keyring
from flowforge.kit.limits import Limits
from flowforge.kit.mail.errors import MailError
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.mail.servers import IMAP_SCHEMES, MailServer, parse_server
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, Scope, SecretText, compile_template
from flowforge.language.triggers import COMMON_TRIGGER_FIELDS, TRIGGER_KINDS
from flowforge.triggers.kinds import Kind
from flowforge.triggers.source_models import MailboxReaderRow
from flowforge.triggers.types import ConnectionTest, Trigger
from flowforge.vault import service as vault
from flowforge.vault.errors import VaultError
from flowforge.web.calls import Call

_STARTTLS_PORT: Final = 143
_INBOX: Final = "INBOX"
_SCOPE: Final = Scope(frozenset({"vars"}), allows_secrets=True)


def name_folder(config: Mapping[str, JsonValue]) -> str:
    """The folder that is watched."""
    return str(config.get("folder") or _INBOX)


def read_server(config: Mapping[str, JsonValue], password: str | None) -> MailServer:
    """The server: on port 143 with STARTTLS, on all others with TLS at once.

    Raises:
        MailError: `server_invalid`: there can be no such host.
    """
    host, port = str(config.get("host", "")), config.get("port")
    number = port if isinstance(port, int) else 993
    shown = f"[{host}]" if ":" in host else host
    scheme = "imap" if number == _STARTTLS_PORT else "imaps"
    return parse_server(f"{scheme}://{shown}:{number}", IMAP_SCHEMES, user=str(config.get("user", "")), password=password)


async def open_server(session: AsyncSession, keyring: Keyring, workspace_id: str, config: Mapping[str, JsonValue]) -> MailServer:
    """The server with the password, which is never kept.

    Raises:
        MailError: there can be no such server.
        VaultError: a secret is missing, does not open, or may not be sent to this host.
    """
    place = read_server(config, None).place
    check = compile_template(config.get("password"), _SCOPE)
    if check.template is None:
        return read_server(config, "")
    names = sorted({placed.compiled.secret for placed in check.expressions if placed.compiled.secret is not None})
    secrets = await vault.resolve_secrets(session, keyring, workspace_id, names) if names else {}
    for secret in secrets.values():
        vault.check_host(secret, place)
    variables: JsonObject = {}
    if any(reference.path[0] == "vars" for placed in check.expressions for reference in placed.compiled.references):
        variables = {variable.name: variable.value for variable in await vault.list_variables(session, workspace_id)}
    value = cast("object", check.template.evaluate(Context({"vars": variables})))
    if isinstance(value, SecretText):
        value = "".join(secrets[text].value if is_secret else text for is_secret, text in value.parts)
    return read_server(config, str(value))


async def check_mailbox(
    _session: AsyncSession, _workspace_id: str, parameters: JsonObject, _limits: Limits, _now_ms: int
) -> Sequence[Detail]:
    """Whether there can be such a server, and such a folder."""
    if any(letter < " " or letter == "\x7f" for letter in name_folder(parameters)):
        return [Detail("folder", "A folder's name has no line breaks or other control characters.", "control_char")]
    try:
        read_server(parameters, "x")
    except MailError as fault:
        return [Detail("host", fault.message, fault.fault.value)]
    return ()


async def test_mailbox(call: Call, parameters: JsonObject) -> ConnectionTest:
    """Signs in and opens the folder."""
    folder = name_folder(parameters)
    try:
        async with call.read() as session:
            server = await open_server(session, call.parts.keyring, call.workspace_id, parameters)
        await call.port(Mailer).visit(server, lambda mailbox: mailbox.select(folder, is_readonly=True))
    except (MailError, EgressError, VaultError) as fault:
        return ConnectionTest(is_successful=False, message=fault.message)
    return ConnectionTest(is_successful=True, message=f"Signed in at {server.place}; the folder {folder} can be opened.")


async def follow_trigger(session: AsyncSession, trigger: Trigger, _at_ms: int) -> None:
    """A trigger that is off forgets how far it has read: what comes until it is on again starts no run."""
    if not trigger.is_live:
        await forget_trigger(session, trigger)


async def forget_trigger(session: AsyncSession, trigger: Trigger) -> None:
    """Removes how far the trigger has read."""
    await session.execute(delete(MailboxReaderRow).where(MailboxReaderRow.trigger_id == trigger.id))


def make_input(trigger: JsonObject) -> JsonValue:
    """The message."""
    return {name: value for name, value in trigger.items() if name not in COMMON_TRIGGER_FIELDS}


EMAIL: Final = Kind(
    TRIGGER_KINDS["email"],
    make_input,
    examples=({"host": "imap.example.com", "user": "orders@example.com", "password": "${{ secrets.ORDERS_MAILBOX }}"},),
    check=check_mailbox,
    test=test_mailbox,
    on_change=follow_trigger,
    on_gone=forget_trigger,
)
