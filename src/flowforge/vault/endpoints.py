"""Secrets and variables over HTTP. A secret's value goes in and never comes out."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import Path
from pydantic import Field

from flowforge.audit.service import author_of
from flowforge.language.times import format_timestamp_ms
from flowforge.vault import service
from flowforge.vault.errors import SecretMissingError, VariableMissingError, VaultChangedError
from flowforge.vault.lists import SECRETS, USES, VARIABLES
from flowforge.vault.ports import FindUses, ReencryptMore, Use
from flowforge.vault.rotation import reencrypt_all, tell_reencrypted
from flowforge.vault.telling import tell_secret_deleted, tell_secret_set, tell_variable_deleted, tell_variable_set
from flowforge.vault.types import SecretSummary, Variable
from flowforge.web.bodies import Answer, Body, JsonField
from flowforge.web.calls import CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
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


class ReencryptionAnswer(Answer):
    """`skipped` had the current key already; `failed` names those that no key opens."""

    total: int
    rotated: int
    skipped: int
    failed: list[str]


@secrets.get("", "secret:read", summary="The secrets of the workspace, without their values")
async def list_secrets(call: CallIn, asked: Annotated[Asked, make_asked(SECRETS)]) -> Page[SecretAnswer]:
    """By name."""
    async with call.read() as session:
        rows = await service.list_secrets(session, call.workspace_id)
    kept, following = SECRETS.page(rows, asked, call.workspace_id)
    return Page(data=[_show_secret(row) for row in kept], next_cursor=following)


@secrets.put("/{name}", "secret:manage", errors=[VaultChangedError], summary="Set a secret")
async def set_secret(call: CallIn, name: NameIn, body: SecretBody) -> SecretAnswer:
    async with call.change() as session:
        made = await service.set_secret(
            session, call.parts.keyring, call.workspace_id, name, value=body.value, hosts=body.hosts, at_ms=call.now_ms
        )
        await tell_secret_set(session, author_of(call), call.workspace_id, made)
    return _show_secret(made)


@secrets.delete("/{name}", "secret:manage", status=204, errors=[SecretMissingError], summary="Remove a secret for good")
async def delete_secret(call: CallIn, name: NameIn) -> None:
    async with call.change() as session:
        await service.delete_secret(session, call.workspace_id, name)
        await tell_secret_deleted(session, author_of(call), call.workspace_id, name)


@secrets.get("/{name}/usage", "secret:read", errors=[SecretMissingError], summary="Which workflows use a secret")
async def find_secret_uses(call: CallIn, name: NameIn, asked: Annotated[Asked, make_asked(USES)]) -> Page[UseAnswer]:
    async with call.read() as session:
        if name not in {row.name for row in await service.list_secrets(session, call.workspace_id)}:
            raise SecretMissingError([name])
        uses = await call.port(FindUses)(session, call.workspace_id, "secrets", name)
    return _show_uses(uses, asked, call.workspace_id, "secrets", name)


@variables.get("", "variable:read", summary="The variables of the workspace")
async def list_variables(call: CallIn, asked: Annotated[Asked, make_asked(VARIABLES)]) -> Page[VariableAnswer]:
    """By name."""
    async with call.read() as session:
        rows = await service.list_variables(session, call.workspace_id)
    kept, following = VARIABLES.page(rows, asked, call.workspace_id)
    return Page(data=[_show_variable(row) for row in kept], next_cursor=following)


@variables.put("/{name}", "variable:manage", errors=[VaultChangedError], summary="Set a variable")
async def set_variable(call: CallIn, name: NameIn, body: VariableBody) -> VariableAnswer:
    async with call.change() as session:
        had = await service.read_variables(session, call.workspace_id, [name])
        made = await service.set_variable(
            session, call.workspace_id, name, value=body.value, at_ms=call.now_ms, limits=call.limits
        )
        await tell_variable_set(session, author_of(call), call.workspace_id, name, had=had, value=made.value)
    return _show_variable(made)


@variables.delete("/{name}", "variable:manage", status=204, errors=[VariableMissingError], summary="Remove a variable")
async def delete_variable(call: CallIn, name: NameIn) -> None:
    async with call.change() as session:
        had = await service.read_variables(session, call.workspace_id, [name])
        await service.delete_variable(session, call.workspace_id, name)
        await tell_variable_deleted(session, author_of(call), call.workspace_id, name, had=had)


@variables.get("/{name}/usage", "variable:read", errors=[VariableMissingError], summary="Which workflows use a variable")
async def find_variable_uses(call: CallIn, name: NameIn, asked: Annotated[Asked, make_asked(USES)]) -> Page[UseAnswer]:
    async with call.read() as session:
        if not await service.read_variables(session, call.workspace_id, [name]):
            raise VariableMissingError(name)
        uses = await call.port(FindUses)(session, call.workspace_id, "vars", name)
    return _show_uses(uses, asked, call.workspace_id, "vars", name)


@keyring.post("/reencrypt", "settings:manage", summary="Write every secret with the current key")
async def reencrypt(call: CallIn) -> ReencryptionAnswer:
    """After ENCRYPTION_KEY was changed. It goes on with what is left when it is called again, and may run while others work.

    The keys of persons in the audit log, second factors and secrets of subscriptions get the current key too; the figures are those of
    the secrets.
    """
    done = await reencrypt_all(call.parts.database, call.parts.keyring, call.port(ReencryptMore))
    async with call.change() as session:
        await tell_reencrypted(session, author_of(call), done)
    return ReencryptionAnswer.model_validate(done.describe())


def _show_uses(uses: Sequence[Use], asked: Asked, *scope: str) -> Page[UseAnswer]:
    kept, following = USES.page(uses, asked, *scope)
    shown = [UseAnswer(workflow_id=use.workflow_id, workflow=use.workflow, version=use.version) for use in kept]
    return Page(data=shown, next_cursor=following)


def _show_secret(row: SecretSummary) -> SecretAnswer:
    return SecretAnswer(
        name=row.name, hosts=list(row.hosts), version=row.version, updated_at=format_timestamp_ms(row.updated_at_ms)
    )


def _show_variable(row: Variable) -> VariableAnswer:
    return VariableAnswer(name=row.name, value=row.value, version=row.version, updated_at=format_timestamp_ms(row.updated_at_ms))
