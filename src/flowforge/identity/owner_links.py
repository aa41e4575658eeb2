"""The link that `up` prints: whoever has this machine's data folder is its owner."""

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.assignments import assign_role
from flowforge.identity.links import SIGN_IN_LINK_MS, make_link, make_link_url
from flowforge.identity.owners import list_owner_ids
from flowforge.identity.people import NewPerson, create_person, find_local_user, get_user
from flowforge.identity.permissions import OWNER
from flowforge.identity.types_accounts import LinkPurpose
from flowforge.kit.settings import Settings

OWNER_EMAIL = "owner@localhost"
_BY = "system"


async def make_sign_in_link(session: AsyncSession, settings: Settings, *, now_ms: int) -> str:
    """The address of a link that signs in as an owner: good once, for 10 minutes. A link that was made before is void.

    It is `owner@localhost`, who is made where the installation has no owner yet; else the first of those there are.
    """
    owners = await list_owner_ids(session)
    user = await find_local_user(session, OWNER_EMAIL)
    if owners and (user is None or user.id not in owners):
        user = await get_user(session, min(owners))
    elif user is None:
        user = await create_person(session, NewPerson(OWNER_EMAIL, "Owner"), now_ms=now_ms, by=_BY)
    if user.id not in owners:
        user.disabled_at = None
        await assign_role(session, user.id, OWNER, at_ms=now_ms, actor=_BY)
    token = await make_link(session, user, LinkPurpose.SIGN_IN, now_ms=now_ms, lives_ms=SIGN_IN_LINK_MS)
    return make_link_url(settings, token, LinkPurpose.SIGN_IN)
