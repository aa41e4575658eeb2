"""What identity offers to the domains above it, and to who puts a server together. Nothing here commits: that is done at the edge."""

from flowforge.identity.accounts import AccountParts, Accounts, make_accounts
from flowforge.identity.assignments import assign_role
from flowforge.identity.external_identities import ToldIdentity, list_identities, put_identity
from flowforge.identity.gate import IdentityGate, make_anonymous
from flowforge.identity.keys import KeyWish, create_key, get_key, list_keys, revoke_key, summarize_key
from flowforge.identity.links import HANDED_LINK_MS, MAILED_LINK_MS, make_link, make_link_url
from flowforge.identity.owner_links import make_sign_in_link
from flowforge.identity.people import (
    NewPerson,
    create_person,
    disable_user,
    enable_user,
    get_user,
    list_users,
)
from flowforge.identity.rights import find_rights
from flowforge.identity.telling_users import tell_user
from flowforge.identity.totp import reencrypt_second_factors
from flowforge.identity.types_accounts import LinkPurpose
from flowforge.identity.user_views import describe_user
from flowforge.identity.workspaces import find_workspace

__all__ = [
    "HANDED_LINK_MS",
    "MAILED_LINK_MS",
    "AccountParts",
    "Accounts",
    "IdentityGate",
    "KeyWish",
    "LinkPurpose",
    "NewPerson",
    "ToldIdentity",
    "assign_role",
    "create_key",
    "create_person",
    "describe_user",
    "disable_user",
    "enable_user",
    "find_rights",
    "find_workspace",
    "get_key",
    "get_user",
    "list_identities",
    "list_keys",
    "list_users",
    "make_accounts",
    "make_anonymous",
    "make_link",
    "make_link_url",
    "make_sign_in_link",
    "put_identity",
    "reencrypt_second_factors",
    "revoke_key",
    "summarize_key",
    "tell_user",
]
