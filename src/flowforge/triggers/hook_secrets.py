"""The `auth` of a webhook with its secrets put in."""

from dataclasses import dataclass
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.keyring import Keyring
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, Scope, SecretText, compile_template
from flowforge.triggers.signatures import Verify, make_verifier, refuse_all
from flowforge.vault import service as vault
from flowforge.vault.errors import VaultError

_SCOPE = Scope(frozenset({"vars"}), allows_secrets=True)


@dataclass(frozen=True, slots=True)
class Proof:
    """How a webhook's sender is known. `problem`: the code of what keeps it from being known at all."""

    form: str
    verify: Verify
    problem: str | None = None


async def read_proof(session: AsyncSession, keyring: Keyring, workspace_id: str, auth: JsonValue) -> Proof:
    """A secret that is missing or does not open proves nothing: then everything is refused."""
    if not isinstance(auth, dict) or len(auth) != 1:
        is_open = auth == "none"
        return Proof("none", make_verifier("none", None) if is_open else refuse_all, None if is_open else "auth_invalid")
    [(form, given)] = auth.items()
    check = compile_template(given, _SCOPE)
    if check.template is None:
        return Proof(form, refuse_all, "auth_invalid")
    names = sorted({placed.compiled.secret for placed in check.expressions if placed.compiled.secret is not None})
    variables: JsonObject = {}
    if any(reference.path[0] == "vars" for placed in check.expressions for reference in placed.compiled.references):
        variables = {variable.name: variable.value for variable in await vault.list_variables(session, workspace_id)}
    try:
        secrets = await vault.resolve_secrets(session, keyring, workspace_id, names) if names else {}
    except VaultError as fault:
        return Proof(form, refuse_all, fault.code)
    values = {name: secret.value for name, secret in secrets.items()}
    value = check.template.evaluate(Context({"vars": variables}))
    return Proof(form, make_verifier(form, _put_in(value, values)))


def _put_in(value: JsonValue, secrets: dict[str, str]) -> JsonValue:
    found = cast("object", value)
    if isinstance(found, SecretText):
        return "".join(secrets[text] if is_secret else text for is_secret, text in found.parts)
    if isinstance(value, dict):
        return {name: _put_in(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [_put_in(item, secrets) for item in value]
    return value
