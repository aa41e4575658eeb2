"""Who is asking, and whether they may: the only place where that is decided.

What was found out is remembered for 5 seconds at most. A number in the database grows with every change of people, sessions, keys and
rights (`revocations`): for sessions and tokens it is read at each request, so that what was revoked by any process is refused at the next
one; for keys at most every 2 seconds, so that a request with a key waits for no database.
"""

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from flowforge.identity.basic import BasicSignIn
from flowforge.identity.cookies import name_session_cookie
from flowforge.identity.credentials import NOTHING_SENT, SentCredential, read_credential
from flowforge.identity.csrf import SAFE_METHODS, check_change, check_origin
from flowforge.identity.errors_accounts import ForeignWorkspaceError, KeyWorkspaceError, SessionRequiredError
from flowforge.identity.key_usage import KeyUsageLog
from flowforge.identity.models_accounts import SessionRow
from flowforge.identity.recognizing import Known, Recognizer
from flowforge.identity.revocations import read_counter
from flowforge.identity.rights import find_rights
from flowforge.identity.session_contents import SessionContents
from flowforge.identity.workspaces import find_default_workspace, find_workspace
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import StorageError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.logs import get_logger
from flowforge.web.addresses import find_address, is_https
from flowforge.web.callers import GUARDS, OPEN, SESSION, Caller, CredentialKind, Rights
from flowforge.web.errors import HeaderInvalidError, NotSignedInError, PermissionMissingError

REMEMBER_S: Final = 5.0
KEY_LAG_S: Final = 2.0
"""So old may be what is known of changes, where a request brings a key."""
_REMEMBERED_MAX: Final = 10_000
_WORKSPACE_MAX_CHARACTERS: Final = 100
_PEOPLE: Final = frozenset({CredentialKind.SESSION, CredentialKind.TOKEN})
_ANYBODY: Final = Rights()

logger = get_logger("identity")

_Mark = tuple[bytes, str, str]


@dataclass(frozen=True, slots=True)
class _Remembered:
    known: Known
    caller: Caller
    until_s: float


class IdentityGate:
    """`web.calls.Gate` on the accounts, keys and roles of the database. One object a process."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        recognizer: Recognizer,
        contents: SessionContents,
        usage: KeyUsageLog,
        basic: BasicSignIn | None = None,
    ) -> None:
        """`basic`: None: no request signs in by Basic authentication."""
        self._settings = settings
        self._database = database
        self._clock = clock
        self._recognizer = recognizer
        self._contents = contents
        self._usage = usage
        self._basic = basic
        self._cookie = name_session_cookie(settings)
        self._remember_s = min(REMEMBER_S, settings.session_idle_ms / 4_000)
        self._remembered: dict[_Mark, _Remembered] = {}
        self._good: dict[tuple[str, str], float] = {}
        self._number = -1
        self._number_read_s = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._loading: dict[_Mark, asyncio.Task[_Remembered]] = {}

    async def admit(self, connection: HTTPConnection, guard: str) -> Caller:
        """See `web.calls.Gate`. Routes that are open to all know nobody."""
        scope = connection.scope
        address = find_address(scope, self._settings.trusted_proxies)
        if guard == OPEN:
            return make_anonymous(address)
        sent = read_credential(scope["headers"], self._cookie)
        return await self._admit(sent, connection, guard, address)

    async def is_still_good(self, caller: Caller) -> bool:
        """Whether somebody who was admitted would be admitted again, as of 7 seconds ago at most: for streams that stay open."""
        now_s = self._clock.monotonic_s()
        if now_s - self._number_read_s > KEY_LAG_S:
            await self._look_for_changes(now_s)
        who, number = (caller.credential, caller.user_id or ""), self._number
        if self._good.get(who, 0.0) > now_s:
            return True
        async with self._database.read() as session:
            is_good = await self._recognizer.is_still_good(session, caller, self._clock.now_ms())
        if is_good and number == self._number:
            self._good[who] = now_s + REMEMBER_S
        return is_good

    def forget(self) -> None:
        """Forgets everything that was remembered, as a change in this process does at the next look anyway."""
        self._remembered.clear()
        self._good.clear()
        self._number_read_s = float("-inf")

    async def _admit(self, sent: SentCredential, connection: HTTPConnection, guard: str, address: str) -> Caller:
        if sent is NOTHING_SENT:
            raise NotSignedInError
        found = await self._find(sent, connection, address)
        known, caller = found.known, found.caller
        if known.kind is CredentialKind.SESSION:
            self._check_browser(connection, known)
        elif known.kind is CredentialKind.BASIC:
            check_origin(connection, self._settings)
        if guard == SESSION and known.kind not in _PEOPLE:
            raise SessionRequiredError
        if guard not in GUARDS and not caller.rights.allow_somewhere(guard):
            raise PermissionMissingError(guard)
        if known.kind is CredentialKind.KEY:
            self._usage.count(known.credential.removeprefix("key:"), address, self._clock.now_ms())
        return caller

    def _check_browser(self, connection: HTTPConnection, known: Known) -> None:
        if connection.scope["type"] == "websocket":
            # A browser's script cannot set headers here, so the Origin alone says whose page it is.
            check_change(connection, self._settings, None)
        elif connection.scope["method"] not in SAFE_METHODS:
            check_change(connection, self._settings, known.csrf)

    async def _find(self, sent: SentCredential, connection: HTTPConnection, address: str) -> _Remembered:
        if sent.kind is CredentialKind.BASIC and not self._takes_basic(connection):
            raise NotSignedInError
        workspace = _read_workspace(connection)
        now_s = self._clock.monotonic_s()
        if sent.kind in _PEOPLE:
            await self._look_for_changes(now_s)
        elif now_s - self._number_read_s > KEY_LAG_S / 2:
            await self._look_together(now_s)
        mark = (sent.mark, workspace, address)
        found = self._remembered.get(mark)
        if found is None or found.until_s <= now_s or found.known.expires_at_ms <= self._clock.now_ms():
            return await self._load_together(sent, workspace, address, now_s, mark)
        if sent.kind is CredentialKind.KEY and found.until_s - now_s < self._remember_s / 2 and mark not in self._loading:
            # Looked up before it is too old, so that no request of a key that is in use waits for it.
            self._begin_loading(sent, workspace, address, now_s, mark)
        return found

    async def _look_together(self, now_s: float) -> None:
        """Many requests of keys at once ask the database once; one that knows enough does not wait for the answer."""
        looking = self._looking
        if looking is None:
            looking = self._looking = asyncio.get_running_loop().create_task(self._look_for_changes(now_s))
            looking.add_done_callback(self._end_looking)
        if now_s - self._number_read_s > KEY_LAG_S:
            await asyncio.shield(looking)

    def _end_looking(self, done: "asyncio.Task[None]") -> None:
        self._looking = None
        if not done.cancelled() and (fault := done.exception()) is not None:
            logger.warning("Changes of people and rights could not be looked for.", cause=str(fault))

    async def _load_together(self, sent: SentCredential, workspace: str, address: str, now_s: float, mark: _Mark) -> _Remembered:
        if sent.kind is not CredentialKind.KEY:
            return await self._load(sent, workspace, address, now_s, mark)
        loading = self._loading.get(mark) or self._begin_loading(sent, workspace, address, now_s, mark)
        return await asyncio.shield(loading)

    def _begin_loading(
        self, sent: SentCredential, workspace: str, address: str, now_s: float, mark: _Mark
    ) -> "asyncio.Task[_Remembered]":
        loading = asyncio.get_running_loop().create_task(self._load(sent, workspace, address, now_s, mark))
        self._loading[mark] = loading

        def end(done: "asyncio.Task[_Remembered]") -> None:
            del self._loading[mark]
            if not done.cancelled() and done.exception() is not None:
                self._remembered.pop(mark, None)

        loading.add_done_callback(end)
        return loading

    def _takes_basic(self, connection: HTTPConnection) -> bool:
        return self._basic is not None and is_https(connection.scope, self._settings.trusted_proxies)

    async def _look_for_changes(self, now_s: float) -> None:
        async with self._database.read() as session:
            number = await read_counter(session)
        if number != self._number:
            self._number = number
            self._remembered.clear()
            self._good.clear()
        self._number_read_s = now_s

    async def _load(self, sent: SentCredential, workspace: str, address: str, now_s: float, mark: _Mark) -> _Remembered:
        number, now_ms = self._number, self._clock.now_ms()
        if sent.kind is CredentialKind.BASIC and self._basic is not None:
            known = await self._basic.find_known(sent.text, address)
        else:
            known = await self._recognizer.find_known(self._database.read, sent, now_ms)
        if known is None:
            raise NotSignedInError
        async with self._database.read() as session:
            caller = await _make_caller(session, known, workspace, address)
        if known.touch is not None:
            await self._touch(known.touch, now_ms)
        found = _Remembered(known, caller, now_s + self._remember_s)
        if number == self._number:
            # Else something has changed while this was looked up, and it may be old already.
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[mark] = found
        return found

    async def _touch(self, row: SessionRow, now_ms: int) -> None:
        try:
            await self._contents.touch(row, now_ms)
        except StorageError as fault:
            # Reading goes on where nothing can be written now; at worst the session ends early.
            logger.warning("The use of a session was not stored.", cause=fault.message)


def make_anonymous(address: str) -> Caller:
    """Somebody whom nobody knows."""
    return Caller("anonymous", None, CredentialKind.NONE, "", DEFAULT_WORKSPACE_ID, _ANYBODY, address)


async def _make_caller(session: AsyncSession, known: Known, workspace: str, address: str) -> Caller:
    workspace_id = await _find_place(session, known, workspace)
    rights = await find_rights(session, known.user_id, workspace_id)
    if workspace and not rights.everywhere and not any(rights.projects.values()):
        raise ForeignWorkspaceError(workspace)
    if known.permissions is not None:
        rights = _narrow(rights, known.permissions)
    return Caller(
        actor=f"user:{known.user_id}",
        user_id=known.user_id,
        kind=known.kind,
        credential=known.credential,
        workspace_id=workspace_id,
        rights=rights,
        address=address,
        tier=known.tier,
    )


async def _find_place(session: AsyncSession, known: Known, workspace: str) -> str:
    if not workspace and known.workspace_id is None:
        return await find_default_workspace(session, known.user_id)
    if not workspace:
        # A key is good for as long as its workspace.
        if await find_workspace(session, known.workspace_id or "") is None:
            raise NotSignedInError
        return known.workspace_id or ""
    row = await find_workspace(session, workspace)
    if row is None:
        raise ForeignWorkspaceError(workspace)
    if known.workspace_id is not None and row.id != known.workspace_id:
        raise KeyWorkspaceError
    return row.id


def _narrow(rights: Rights, permissions: frozenset[str]) -> Rights:
    return Rights(rights.everywhere & permissions, {project: found & permissions for project, found in rights.projects.items()})


def _read_workspace(connection: HTTPConnection) -> str:
    """The workspace that the request names: in a header, else in the query, for what a browser opens without headers. Empty: none."""
    named = [value.decode("latin-1").strip() for name, value in connection.scope["headers"] if name == b"x-workspace"]
    if not named and b"workspace=" in connection.scope["query_string"]:
        query = connection.scope["query_string"].decode("latin-1")
        named = [value for name, value in parse_qsl(query) if name == "workspace"]
    if not named:
        return ""
    if len(named) > 1 or not named[0] or len(named[0]) > _WORKSPACE_MAX_CHARACTERS:
        raise HeaderInvalidError("X-Workspace", "X-Workspace names one workspace, by id or name.")
    return named[0]
