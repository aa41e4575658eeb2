"""The rows that changes of secrets and variables leave in the audit log. A secret's value is in none of them."""

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import Author, record_as
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.vault.types import SecretSummary


async def tell_secret_set(session: AsyncSession, author: Author, workspace_id: str, made: SecretSummary) -> None:
    after: JsonObject = {"name": made.name, "hosts": list(made.hosts), "version": made.version}
    await record_as(session, author, "secret.set", "secret", made.name, after=after, workspace_id=workspace_id)


async def tell_secret_deleted(session: AsyncSession, author: Author, workspace_id: str, name: str) -> None:
    await record_as(session, author, "secret.deleted", "secret", name, before={"name": name}, workspace_id=workspace_id)


async def tell_variable_set(
    session: AsyncSession, author: Author, workspace_id: str, name: str, *, had: JsonObject, value: JsonValue
) -> None:
    """`had`: the values before by name; without this name where there was none."""
    before: JsonObject | None = {"value": had[name]} if name in had else None
    await record_as(
        session, author, "variable.set", "variable", name, before=before, after={"value": value}, workspace_id=workspace_id
    )


async def tell_variable_deleted(session: AsyncSession, author: Author, workspace_id: str, name: str, *, had: JsonObject) -> None:
    """`had`: as above."""
    before: JsonObject = {"value": had.get(name)}
    await record_as(session, author, "variable.deleted", "variable", name, before=before, workspace_id=workspace_id)
