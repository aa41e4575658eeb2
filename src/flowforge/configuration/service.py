"""The use cases of settings and flags that are changed at run time."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.configuration import repository
from flowforge.configuration.errors import FlagNotFoundError
from flowforge.configuration.models import FlagRow, SettingRow
from flowforge.configuration.types import FIELDS, RuntimeSettings
from flowforge.kit.border import decode, digest_value, encode
from flowforge.kit.values import JsonObject
from flowforge.web.conditions import check_if_match, quote_etag
from flowforge.web.errors import PreconditionFailedError

__all__ = ["Flag", "RuntimeSettings", "change_settings", "get_flag", "is_enabled", "list_flags", "read_settings", "set_flag"]


@dataclass(frozen=True, slots=True)
class Flag:
    """A feature that is on or off. `workspaces`: where it is on; empty: everywhere."""

    name: str
    is_enabled: bool
    description: str
    workspaces: tuple[str, ...]
    etag: str
    updated_at_ms: int
    updated_by: str

    def holds(self, workspace_id: str) -> bool:
        """Whether the feature is on there."""
        return self.is_enabled and (not self.workspaces or workspace_id in self.workspaces)


async def read_settings(session: AsyncSession, *, is_locked: bool = False) -> tuple[RuntimeSettings, str]:
    """The present settings and their ETag."""
    rows = await repository.list_settings(session, is_locked=is_locked)
    values = {row.name: decode(row.value) for row in rows if row.name in FIELDS}
    # What was checked when it was set is not checked again: a stricter version must not lock its administrators out.
    return RuntimeSettings.model_validate(values, strict=False), digest_value([[row.name, row.etag] for row in rows])


async def change_settings(
    session: AsyncSession, actor: str, change: JsonObject, *, if_match: str | None, at_ms: int
) -> tuple[RuntimeSettings, RuntimeSettings, str]:
    """Applies a merge patch of top-level fields (null: the default again); the settings before, those after, and their ETag.

    Raises:
        PreconditionRequiredError, PreconditionFailedError: If-Match is missing or stale.
        pydantic.ValidationError: a value cannot be used.
    """
    rows = {row.name: row for row in await repository.list_settings(session, is_locked=True)}
    before, present = await read_settings(session)
    check_if_match(if_match, present)
    merged = {**before.model_dump(mode="json"), **change}
    after = RuntimeSettings.model_validate({name: value for name, value in merged.items() if value is not None})
    told = after.model_dump(mode="json")
    for name in change:
        row = rows.get(name)
        if row is None:
            row = SettingRow(name=name)
            session.add(row)
        row.value, row.updated_at, row.updated_by = encode(told[name]).decode(), at_ms, actor
        row.etag = digest_value([told[name], at_ms, row.etag or ""])
    try:
        await session.flush()
    except IntegrityError:
        raise PreconditionFailedError(quote_etag(present)) from None
    return before, after, (await read_settings(session))[1]


async def list_flags(session: AsyncSession) -> list[Flag]:
    """All flags by name."""
    return [_show(row) for row in await repository.list_flags(session)]


async def get_flag(session: AsyncSession, name: str) -> Flag:
    """Raises FlagNotFoundError."""
    row = await repository.find_flag(session, name)
    if row is None:
        raise FlagNotFoundError(name)
    return _show(row)


async def is_enabled(session: AsyncSession, name: str, workspace_id: str) -> bool:
    """Whether the feature is on in the workspace; one that nobody made is off."""
    row = await repository.find_flag(session, name)
    return row is not None and _show(row).holds(workspace_id)


async def set_flag(
    session: AsyncSession, actor: str, name: str, wanted: JsonObject, *, if_match: str | None, at_ms: int
) -> tuple[Flag | None, Flag]:
    """Makes or changes a flag (`enabled`, `description`, `workspaces`); what it was, and what it is now.

    Raises:
        PreconditionRequiredError, PreconditionFailedError: it is there, and If-Match is missing or stale; or somebody made it just now.
    """
    row = await repository.find_flag(session, name, is_locked=True)
    before = None if row is None else _show(row)
    if row is None:
        row = FlagRow(name=name)
        session.add(row)
    else:
        check_if_match(if_match, row.etag)
    row.enabled, row.description = bool(wanted["enabled"]), str(wanted["description"])
    row.workspaces = encode(wanted["workspaces"]).decode()
    row.etag = digest_value([wanted, at_ms, before.etag if before else ""])
    row.updated_at, row.updated_by = at_ms, actor
    try:
        await session.flush()
    except IntegrityError:
        raise PreconditionFailedError(None) from None
    return before, _show(row)


def _show(row: FlagRow) -> Flag:
    workspaces = decode(row.workspaces)
    listed = tuple(str(each) for each in workspaces) if isinstance(workspaces, list) else ()
    return Flag(row.name, row.enabled, row.description, listed, row.etag, row.updated_at, row.updated_by)
