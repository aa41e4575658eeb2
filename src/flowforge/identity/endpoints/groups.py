"""`/groups` and their members."""

from typing import Annotated, Final

from fastapi import Response
from pydantic import Field

from flowforge.audit.service import INSTALLATION, record
from flowforge.identity import groups
from flowforge.identity.errors_roles import (
    GroupNameTakenError,
    GroupNotFoundError,
    LastOwnerError,
    PersonNotFoundError,
    RightsExceededError,
)
from flowforge.identity.groups import Member
from flowforge.identity.lists import GROUPS
from flowforge.identity.models_roles import GroupRow
from flowforge.kit.ids import parse_id
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, Prose, Title
from flowforge.web.calls import CallIn
from flowforge.web.lists import LIMIT_DEFAULT, Asked, Page, cut_page, mark_list, read_cursor
from flowforge.web.queries import CursorIn, LimitIn, make_asked
from flowforge.web.routing import Router

router: Final = Router("groups", "/groups")

GroupName = Annotated[Title, Field(max_length=200, examples=["Finance"])]


class GroupAnswer(Answer):
    id: str = Field(examples=["grp_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    name: str = Field(examples=["Finance"])
    description: str
    members: int = Field(description="How many people are in it.")
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: GroupRow, members: int) -> "GroupAnswer":
        return cls(
            id=row.id,
            name=row.name,
            description=row.description,
            members=members,
            created_at=format_timestamp_ms(row.created_at),
            updated_at=format_timestamp_ms(row.updated_at),
        )


class MemberAnswer(Answer):
    user_id: str = Field(examples=["usr_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    email: str
    name: str
    added_at: str

    @classmethod
    def of(cls, member: Member) -> "MemberAnswer":
        return cls(
            user_id=member.user_id,
            email=member.email,
            name=member.name,
            added_at=format_timestamp_ms(member.added_at_ms),
        )


class NewGroup(Body):
    name: GroupName
    description: Prose = ""


class ChangedGroup(Body):
    """What is left out stays as it is."""

    name: GroupName = Field(default_factory=str)
    description: Prose | None = None


@router.get("", "group:read", summary="List groups")
async def list_groups(call: CallIn, asked: Annotated[Asked, make_asked(GROUPS)]) -> Page[GroupAnswer]:
    """By name."""
    selection = GROUPS.read(asked)
    async with call.report() as session:
        rows, following = selection.cut(await groups.list_groups(session, selection))
        counts = await groups.count_members(session, [row.id for row in rows])
    return Page(data=[GroupAnswer.of(row, counts.get(row.id, 0)) for row in rows], next_cursor=following)


@router.post("", "group:manage", status=201, errors=[GroupNameTakenError], summary="Make a group")
async def create_group(call: CallIn, body: NewGroup, response: Response) -> GroupAnswer:
    async with call.change() as session:
        row = await groups.create_group(session, call, body.name, description=body.description)
        await record(session, call, "group.created", "group", row.id, after=_note(row), workspace_id=INSTALLATION)
    response.headers["location"] = f"/api/v1/groups/{row.id}"
    return GroupAnswer.of(row, 0)


@router.get("/{group}", "group:read", errors=[GroupNotFoundError], summary="One group")
async def get_group(call: CallIn, group: str) -> GroupAnswer:
    """By id or name."""
    async with call.read() as session:
        row = await groups.get_group(session, group)
        return GroupAnswer.of(row, (await groups.count_members(session, [row.id])).get(row.id, 0))


@router.patch("/{group}", "group:manage", errors=[GroupNotFoundError, GroupNameTakenError], summary="Change a group")
async def change_group(call: CallIn, group: str, body: ChangedGroup) -> GroupAnswer:
    changes = {field: getattr(body, field) or "" for field in body.model_fields_set}
    async with call.change() as session:
        row = await groups.get_group(session, group)
        before = _note(row)
        await groups.change_group(session, call, row, changes)
        counts = await groups.count_members(session, [row.id])
        await record(session, call, "group.changed", "group", row.id, before=before, after=_note(row), workspace_id=INSTALLATION)
    return GroupAnswer.of(row, counts.get(row.id, 0))


@router.delete(
    "/{group}",
    "group:manage",
    status=204,
    errors=[GroupNotFoundError, RightsExceededError, LastOwnerError],
    summary="Remove a group",
)
async def delete_group(call: CallIn, group: str) -> None:
    """Its members lose what the group was given."""
    async with call.change() as session:
        row = await groups.delete_group(session, call, group)
        await record(session, call, "group.deleted", "group", row.id, before=_note(row), workspace_id=INSTALLATION)


@router.get("/{group}/members", "group:read", errors=[GroupNotFoundError], summary="List the people of a group")
async def list_members(call: CallIn, group: str, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None) -> Page[MemberAnswer]:
    mark = mark_list("members", group)
    after = read_cursor(cursor, mark, [str]) or [""]
    async with call.report() as session:
        row = await groups.get_group(session, group)
        found = await groups.list_members(session, row.id, after=str(after[0]), limit=limit)
    rows, following = cut_page(found, limit, mark, lambda member: [member.user_id])
    return Page(data=[MemberAnswer.of(member) for member in rows], next_cursor=following)


@router.put(
    "/{group}/members/{user}",
    "group:manage",
    status=204,
    errors=[GroupNotFoundError, PersonNotFoundError, RightsExceededError],
    summary="Put a person into a group",
)
async def add_member(call: CallIn, group: str, user: str) -> None:
    """The person has what the group was given from the next request on. Nothing happens to who is in it already."""
    async with call.change() as session:
        row, is_new = await groups.add_member(session, call, group, parse_id(user, "usr"))
        if is_new:
            note: JsonObject = {"user_id": user}
            await record(session, call, "group.member_added", "group", row.id, after=note, workspace_id=INSTALLATION)


@router.delete(
    "/{group}/members/{user}",
    "group:manage",
    status=204,
    errors=[GroupNotFoundError, RightsExceededError, LastOwnerError],
    summary="Take a person out of a group",
)
async def remove_member(call: CallIn, group: str, user: str) -> None:
    """Nothing happens to who is not in it."""
    async with call.change() as session:
        row, was_member = await groups.remove_member(session, call, group, parse_id(user, "usr"))
        if was_member:
            note: JsonObject = {"user_id": user}
            await record(session, call, "group.member_removed", "group", row.id, before=note, workspace_id=INSTALLATION)


def _note(row: GroupRow) -> JsonObject:
    return {"name": row.name, "description": row.description}
