"""`/keys`: API keys of the present workspace."""

from typing import Annotated, Final, Literal

from fastapi import Response
from pydantic import Field

from flowforge.audit.service import record
from flowforge.identity import keys
from flowforge.identity.endpoints.forms_accounts import KeyAnswer
from flowforge.identity.errors_accounts import KeyInputError, KeyNotFoundError, KeysOffError, SessionRequiredError
from flowforge.identity.errors_roles import PermissionUnknownError
from flowforge.identity.keys import TIERS, KeyWish, summarize_key
from flowforge.identity.lists import KEY_USAGE, KEYS
from flowforge.identity.types_accounts import KeyUsage
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, Title
from flowforge.web.callers import SESSION
from flowforge.web.calls import Call, CallIn
from flowforge.web.errors import PermissionMissingError
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router

router: Final = Router("keys", "/keys")

_READ: Final = "key:read"
_MANAGE: Final = "key:manage"


class NewKeyBody(Body):
    """`permissions`: those that you have yourself. `tier` above the installation's needs key:manage."""

    name: Title = Field(examples=["deploy"])
    permissions: list[str] = Field(min_length=1, max_length=200, examples=[["workflow:read", "workflow:start"]])
    expires_in: str = Field(max_length=40, description="A duration, a year at most.", examples=["90d"])
    tier: Literal["free", "basic", "pro", "enterprise"] | None = None


class ChangeKeyBody(Body):
    name: Title = Field(examples=["deploy"])


class NewKeyAnswer(Answer):
    """The only time that `key` is shown."""

    id: str = Field(examples=["key_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    key: str = Field(examples=["ff_k3v9x4e6t_…"])
    prefix: str = Field(examples=["ff_k3v9x4e6t"])
    expires_at: str


class UsageAnswer(Answer):
    """Requests within one hour from one address."""

    hour: str
    address: str
    requests: int
    last_used_at: str

    @classmethod
    def of(cls, usage: KeyUsage) -> "UsageAnswer":
        return cls(
            hour=format_timestamp_ms(usage.hour_at_ms),
            address=usage.address,
            requests=usage.requests,
            last_used_at=format_timestamp_ms(usage.used_at_ms),
        )


@router.get("", SESSION, errors=[SessionRequiredError], summary="List API keys")
async def list_keys(call: CallIn, asked: Annotated[Asked, make_asked(KEYS)]) -> Page[KeyAnswer]:
    """Yours; with key:read all of the workspace. Revoked and expired ones, too."""
    owner = _whose(call, _READ)
    selection = KEYS.read(asked, call.workspace_id, owner)
    async with call.report() as session:
        found = await keys.list_keys(session, call.workspace_id, selection, user_id=owner)
    rows, following = selection.cut(found)
    return Page(data=[KeyAnswer.of(summarize_key(row)) for row in rows], next_cursor=following)


@router.post(
    "",
    SESSION,
    status=201,
    errors=[SessionRequiredError, KeyInputError, PermissionUnknownError, KeysOffError, PermissionMissingError],
    summary="Make an API key",
)
async def create_key(call: CallIn, body: NewKeyBody, response: Response) -> NewKeyAnswer:
    """It may do what its list says and what you may do, whichever is less, in the present workspace."""
    settings = call.parts.settings
    if not settings.api_keys:
        raise KeysOffError
    if body.tier is not None and TIERS.index(body.tier) > TIERS.index(settings.rate_tier):
        call.require(_MANAGE)
    wish = KeyWish(body.name, body.permissions, body.expires_in, body.tier)
    async with call.change() as session:
        made = await keys.create_key(session, call.caller.user_id or "", call.workspace_id, wish, call.now_ms)
        for permission in made.summary.permissions:
            if not call.caller.rights.allow_somewhere(permission):
                raise PermissionMissingError(permission)
        after = {
            "name": body.name,
            "prefix": made.summary.prefix,
            "permissions": list(made.summary.permissions),
            "tier": body.tier,
        }
        await record(session, call, "key.created", "key", made.summary.id, after=after)
    response.headers["location"] = f"/api/v1/keys/{made.summary.id}"
    expires_at = format_timestamp_ms(made.summary.expires_at_ms)
    return NewKeyAnswer(id=made.summary.id, key=made.text, prefix=made.summary.prefix, expires_at=expires_at)


@router.get("/{key}", SESSION, errors=[SessionRequiredError, KeyNotFoundError], summary="Show an API key")
async def show_key(call: CallIn, key: str) -> KeyAnswer:
    """By its id or its first 12 characters."""
    async with call.read() as session:
        row = await keys.get_key(session, call.workspace_id, key, user_id=_whose(call, _READ))
    return KeyAnswer.of(summarize_key(row))


@router.patch("/{key}", SESSION, errors=[SessionRequiredError, KeyNotFoundError], summary="Rename an API key")
async def rename_key(call: CallIn, key: str, body: ChangeKeyBody) -> KeyAnswer:
    """Nothing else of a key changes: for other permissions make another."""
    async with call.change() as session:
        row = await keys.get_key(session, call.workspace_id, key, user_id=_whose(call, _MANAGE))
        before, row.name = row.name, body.name
        await record(session, call, "key.updated", "key", row.id, before={"name": before}, after={"name": row.name})
    return KeyAnswer.of(summarize_key(row))


@router.delete("/{key}", SESSION, status=204, errors=[SessionRequiredError, KeyNotFoundError], summary="Revoke an API key")
async def revoke_key(call: CallIn, key: str) -> Response:
    """For ever; it is refused within 5 seconds."""
    async with call.change() as session:
        row = await keys.get_key(session, call.workspace_id, key, user_id=_whose(call, _MANAGE))
        if await keys.revoke_key(session, row, call.now_ms):
            await record(session, call, "key.revoked", "key", row.id, before={"name": row.name, "prefix": row.prefix})
    return Response(status_code=204)


@router.get("/{key}/usage", SESSION, errors=[SessionRequiredError, KeyNotFoundError], summary="How often an API key is used")
async def list_usage(call: CallIn, key: str, asked: Annotated[Asked, make_asked(KEY_USAGE)]) -> Page[UsageAnswer]:
    """By hour and address, the latest first, of the last 90 days."""
    selection = KEY_USAGE.read(asked, call.workspace_id, key)
    async with call.report() as session:
        row = await keys.get_key(session, call.workspace_id, key, user_id=_whose(call, _READ))
        found = await keys.list_key_usage(session, call.workspace_id, row, selection)
    rows, following = selection.cut(found)
    return Page(data=[UsageAnswer.of(usage) for usage in rows], next_cursor=following)


def _whose(call: Call, permission: str) -> str | None:
    """Whose keys the caller may look at, or change; None: everybody's."""
    return None if call.caller.rights.allow(permission) else call.caller.user_id
