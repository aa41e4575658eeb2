"""Secrets and variables over HTTP. A secret's value goes in and never comes out."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import Path
from pydantic import Field

from flowforge.audit.service import record, reencrypt_person_keys
from flowforge.identity.service import reencrypt_second_factors
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.vault import service
from flowforge.vault.errors import SecretMissingError, VariableMissingError, VaultChangedError
from flowforge.vault.ports import FindUses, ReencryptMore
from flowforge.vault.types import SecretSummary, Variable
from flowforge.web.bodies import Answer, Body, JsonField
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import LIMIT_DEFAULT, Page, cut_page, mark_list, read_cursor
from flowforge.web.queries import CursorIn, LimitIn
from flowforge.web.routing import Router

secrets: Final = Router("secrets", "/secrets")
variables: Final = Router("variables", "/variables")
keyring: Final = Router("secrets", "/keyring")
ROUTERS: Final[Sequence[Router]] = (secrets, variables, keyring)

NameIn = Annotated[
    str, Path(max_length=200, description="Capital letters, digits and _, a letter first.", examples=["SHOP_TOKEN"])
]


class SecretBody(Body):
    value: str = Field(description="Text of 1 byte to 64 KiB.", examples=["s3cr3t-t0k3n"])
    hosts: list[str] = Field(
        default=[], max_length=50, description="Where it may be sent; empty: anywhere.", examples=[["api.example.com"]]
    )


class SecretAnswer(Answer):
    """What may be shown of a secret."""

    name: str
    set: Literal[True] = True
    hosts: list[str]
    version: int = Field(description="1 at first, one more at each new value.")
    updated_at: str


class VariableBody(Body):
    value: JsonField = Field(examples=["Europe/Berlin"])


class VariableAnswer(Answer):
    name: str
    value: JsonField
    version: int
    updated_at: str


class UseAnswer(Answer):
    """A workflow that names it."""

    workflow_id: str
    workflow: str
    version: int | None = Field(description="The published version; null: the draft.")


class UsesAnswer(Answer):
    data: list[UseAnswer]


class ReencryptionAnswer(Answer):
    """`skipped` had the current key already; `failed` names those that no key opens."""

    total: int
    rotated: int
    skipped: int
    failed: list[str]


@secrets.get("", "secret:read", summary="The secrets of the workspace, without their values")
async def list_secrets(call: CallIn, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None) -> Page[SecretAnswer]:
    async with call.read() as session:
        rows = await service.list_secrets(session, call.workspace_id)
    kept, following = _cut([row.name for row in rows], call, limit, cursor)
    return Page(data=[_show_secret(row) for row in rows if row.name in kept], next_cursor=following)


@secrets.put("/{name}", "secret:manage", errors=[VaultChangedError], summary="Set a secret")
async def set_secret(call: CallIn, name: NameIn, body: SecretBody) -> SecretAnswer:
    async with call.change() as session:
        made = await service.set_secret(
            session, call.parts.keyring, call.workspace_id, name, value=body.value, hosts=body.hosts, at_ms=call.now_ms
        )
        after: JsonObject = {"name": name, "hosts": list(made.hosts), "version": made.version}
        await record(session, call, "secret.set", "secret", name, after=after)
    return _show_secret(made)


@secrets.delete("/{name}", "secret:manage", status=204, errors=[SecretMissingError], summary="Remove a secret for good")
async def delete_secret(call: CallIn, name: NameIn) -> None:
    async with call.change() as session:
        await service.delete_secret(session, call.workspace_id, name)
        await record(session, call, "secret.deleted", "secret", name, before={"name": name})


@secrets.get("/{name}/usage", "secret:read", errors=[SecretMissingError], summary="Which workflows use a secret")
async def find_secret_uses(call: CallIn, name: NameIn) -> UsesAnswer:
    async with call.read() as session:
        if name not in {row.name for row in await service.list_secrets(session, call.workspace_id)}:
            raise SecretMissingError([name])
        uses = await call.port(FindUses)(session, call.workspace_id, "secrets", name)
    return UsesAnswer(data=[UseAnswer(workflow_id=use.workflow_id, workflow=use.workflow, version=use.version) for use in uses])


@variables.get("", "variable:read", summary="The variables of the workspace")
async def list_variables(call: CallIn, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None) -> Page[VariableAnswer]:
    async with call.read() as session:
        rows = await service.list_variables(session, call.workspace_id)
    kept, following = _cut([row.name for row in rows], call, limit, cursor)
    return Page(data=[_show_variable(row) for row in rows if row.name in kept], next_cursor=following)


@variables.put("/{name}", "variable:manage", errors=[VaultChangedError], summary="Set a variable")
async def set_variable(call: CallIn, name: NameIn, body: VariableBody) -> VariableAnswer:
    async with call.change() as session:
        before = await service.read_variables(session, call.workspace_id, [name])
        made = await service.set_variable(
            session, call.workspace_id, name, value=body.value, at_ms=call.now_ms, limits=call.limits
        )
        had: JsonObject | None = {"value": before[name]} if name in before else None
        await record(session, call, "variable.set", "variable", name, before=had, after={"value": made.value})
    return _show_variable(made)


@variables.delete("/{name}", "variable:manage", status=204, errors=[VariableMissingError], summary="Remove a variable")
async def delete_variable(call: CallIn, name: NameIn) -> None:
    async with call.change() as session:
        before = await service.read_variables(session, call.workspace_id, [name])
        await service.delete_variable(session, call.workspace_id, name)
        await record(session, call, "variable.deleted", "variable", name, before={"value": before.get(name)})


@variables.get("/{name}/usage", "variable:read", errors=[VariableMissingError], summary="Which workflows use a variable")
async def find_variable_uses(call: CallIn, name: NameIn) -> UsesAnswer:
    async with call.read() as session:
        if not await service.read_variables(session, call.workspace_id, [name]):
            raise VariableMissingError(name)
        uses = await call.port(FindUses)(session, call.workspace_id, "vars", name)
    return UsesAnswer(data=[UseAnswer(workflow_id=use.workflow_id, workflow=use.workflow, version=use.version) for use in uses])


@keyring.post("/reencrypt", "settings:manage", summary="Write every secret with the current key")
async def reencrypt(call: CallIn) -> ReencryptionAnswer:
    """After ENCRYPTION_KEY was changed. It goes on with what is left when it is called again, and may run while others work.

    The keys of persons in the audit log, second factors and secrets of subscriptions get the current key too; the figures are those of
    the secrets.
    """
    async with call.parts.database.write() as session:
        total = await service.count_secrets(session)
        done = await service.reencrypt_secrets(session, call.parts.keyring)
        await reencrypt_person_keys(session, call.parts.keyring)
    async with call.change() as session:
        await reencrypt_second_factors(session, call.parts.keyring)
        await call.port(ReencryptMore)(session, call.parts.keyring)
    failed = list(done.unreadable)
    async with call.change() as session:
        after: JsonObject = {"rotated": done.changed, "failed": len(failed)}
        await record(session, call, "keyring.reencrypted", "keyring", "secrets", after=after, workspace_id="")
    return ReencryptionAnswer(total=total, rotated=done.changed, skipped=total - done.changed - len(failed), failed=failed)


def _cut(names: list[str], call: Call, limit: int, cursor: str | None) -> tuple[set[str], str | None]:
    """Names come sorted; a workspace has few enough to be read at once."""
    mark = mark_list(call.workspace_id)
    place = read_cursor(cursor, mark, [str])
    later = [name for name in names if place is None or name > str(place[0])]
    kept, following = cut_page(later[: limit + 1], limit, mark, lambda name: [name])
    return set(kept), following


def _show_secret(row: SecretSummary) -> SecretAnswer:
    return SecretAnswer(
        name=row.name, hosts=list(row.hosts), version=row.version, updated_at=format_timestamp_ms(row.updated_at_ms)
    )


def _show_variable(row: Variable) -> VariableAnswer:
    return VariableAnswer(name=row.name, value=row.value, version=row.version, updated_at=format_timestamp_ms(row.updated_at_ms))
