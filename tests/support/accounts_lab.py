"""A server whose gate is the real one: people, sessions, keys and tokens on a database, and browsers that ask it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
from sqlalchemy import select
from tests.support.audit_watch import AuditWatch
from tests.support.clock import ManualClock
from tests.support.databases import Kind
from tests.support.sessions import open_database_sessions

from flowforge.audit.models import AuditRow
from flowforge.identity.accounts import AccountParts, Accounts, make_accounts
from flowforge.identity.assignments import assign_role
from flowforge.identity.endpoints import ROUTERS
from flowforge.identity.local_accounts import store_password
from flowforge.identity.passwords import PasswordHasher
from flowforge.identity.people import NewPerson, create_person
from flowforge.identity.recognizing import ProviderTokens
from flowforge.kit.bus.redis_connection import RedisClients
from flowforge.kit.egress import EgressClient, EgressPolicy
from flowforge.kit.ids import IdSource
from flowforge.kit.keyring import Keyring
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.settings import Settings
from flowforge.kit.signing import SigningKeys
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.web.application import make_application
from flowforge.web.bodies import Answer
from flowforge.web.callers import SESSION, SIGNED_IN
from flowforge.web.calls import CallIn, Parts
from flowforge.web.rates import Rates
from flowforge.web.routing import Router

PASSWORD = "a sentence that nobody guesses"
probes = Router("probes", "/probes")


class ProbeAnswer(Answer):
    actor: str
    kind: str
    credential: str
    workspace_id: str
    address: str
    tier: str


def _describe(call: CallIn) -> ProbeAnswer:
    caller = call.caller
    return ProbeAnswer(
        actor=caller.actor,
        kind=caller.kind,
        credential=caller.credential,
        workspace_id=caller.workspace_id,
        address=caller.address,
        tier=caller.tier,
    )


@probes.get("/who", SIGNED_IN)
async def show_who(call: CallIn) -> ProbeAnswer:
    return _describe(call)


@probes.post("/change", SIGNED_IN)
async def change(call: CallIn) -> ProbeAnswer:
    return _describe(call)


@probes.get("/read", "run:read")
async def read(call: CallIn) -> ProbeAnswer:
    return _describe(call)


@probes.post("/write", "workflow:create")
async def write(call: CallIn) -> ProbeAnswer:
    return _describe(call)


@probes.get("/own", SESSION)
async def show_own(call: CallIn) -> ProbeAnswer:
    return _describe(call)


@dataclass
class Browser:
    """Keeps cookies, and sends what a page of ours sends."""

    client: httpx2.AsyncClient
    origin: str
    user_id: str = ""

    @property
    def csrf(self) -> str:
        return next((cookie.value or "" for cookie in self.client.cookies.jar if cookie.name.endswith("flowforge_csrf")), "")

    @property
    def sid(self) -> str:
        return next((cookie.value or "" for cookie in self.client.cookies.jar if cookie.name.endswith("flowforge_sid")), "")

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """`headers`: with `_` for `-`. Below /api/v1 unless the path begins with `//`."""
        sent = {"origin": self.origin, "x-csrf-token": self.csrf} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        address = path[1:] if path.startswith("//") else f"/api/v1{path}"
        content = {} if body is None else {"json": body}
        return await self.client.request(method, address, headers={k: v for k, v in sent.items() if v}, **content)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.send("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        return await self.send("POST", path, body, **headers)

    async def sign_in(self, email: str, password: str = PASSWORD, **more: str) -> httpx2.Response:
        answer = await self.post("/auth/login", {"email": email, "password": password} | more)
        if answer.status_code == 200:
            self.user_id = answer.json()["user"]["id"]
        return answer


@dataclass
class AccountsLab:
    """One server. `clock` stands until it is moved."""

    parts: Parts
    accounts: Accounts
    clock: ManualClock
    signing: SigningKeys
    app: Any
    folder: Path
    origin: str = "http://127.0.0.1:8000"
    clients: list[httpx2.AsyncClient] = field(default_factory=list[httpx2.AsyncClient])

    def open_browser(self, *, address: str = "127.0.0.1") -> Browser:
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False, client=(address, 50_000))
        client = httpx2.AsyncClient(transport=transport, base_url=self.origin)
        self.clients.append(client)
        return Browser(client, self.origin)

    async def add_person(self, email: str, role: str | None = None, *, password: str | None = PASSWORD) -> str:
        """A confirmed person; the id."""
        hasher = cast("PasswordHasher", self.accounts.ports[PasswordHasher])
        hashed = "" if password is None else await hasher.hash(password)
        now_ms = self.clock.now_ms()
        async with self.parts.database.write.begin() as session:
            person = NewPerson(email, email.partition("@")[0], is_confirmed=True)
            user = await create_person(session, person, now_ms=now_ms, by="test")
            if password is not None:
                await store_password(session, user, hashed, now_ms)
            if role is not None:
                await assign_role(session, user.id, role, at_ms=now_ms, actor="test")
        return user.id

    async def enter(self, email: str = "anna@example.com", role: str | None = "owner") -> Browser:
        """A new person, signed in."""
        await self.add_person(email, role)
        browser = self.open_browser()
        answer = await browser.sign_in(email)
        assert answer.status_code == 200, answer.text
        return browser

    async def make_key(self, browser: Browser, *permissions: str, **more: str) -> str:
        body = {"name": "test", "permissions": list(permissions), "expires_in": "30d"} | more
        answer = await browser.post("/keys", body)
        assert answer.status_code == 201, answer.text
        return answer.json()["key"]

    async def list_actions(self) -> list[str]:
        """What the audit log has, in order."""
        async with self.parts.database.read() as session:
            return list(await session.scalars(select(AuditRow.action).order_by(AuditRow.no)))

    def read_mails(self) -> list[str]:
        """The mails in the outbox folder, the oldest first."""
        return [path.read_text() for path in sorted((self.folder / "mail").glob("*.eml"))]


@asynccontextmanager
async def open_accounts_lab(
    folder: Path,
    *,
    kind: Kind = "sqlite",
    settings: Mapping[str, Any] | None = None,
    more_routers: Sequence[Router] = (),
    providers: ProviderTokens | None = None,
    origin: str = "http://127.0.0.1:8000",
    is_hashing_fast: bool = True,
    redis: RedisClients | None = None,
) -> AsyncGenerator[AccountsLab]:
    """`settings`: by field name. `is_hashing_fast`: passwords are hashed in less time than is safe. `redis`: where sessions are kept."""
    async with open_database_sessions(kind, folder) as database:
        the_settings = Settings.model_validate({"data": folder, "rate_auth": 1_000_000, **(settings or {})})
        clock, keyring, signing = ManualClock(), Keyring.generate(), SigningKeys(b"s" * 32)
        egress = EgressClient(EgressPolicy.parse([]), the_settings.limits, clock)
        smtp_url = the_settings.smtp_url
        mailer = Mailer(None if smtp_url is None else smtp_url.get_secret_value(), None, folder / "mail", egress, clock)
        accounts = make_accounts(AccountParts(the_settings, database, keyring, clock, signing, mailer, providers, redis))
        if is_hashing_fast:
            cast("dict[type, object]", accounts.ports)[PasswordHasher] = PasswordHasher(memory_kib=64, rounds=1)
        parts = Parts(
            settings=the_settings,
            database=database,
            keyring=keyring,
            clock=clock,
            ids=IdSource(clock),
            metrics=Metrics(),
            gate=accounts.gate,
            rates=Rates(the_settings),
            ports=accounts.ports,
        )
        watch = AuditWatch(database)
        application = make_application(parts, [*ROUTERS, probes, *more_routers], [watch.wrap])
        lab = AccountsLab(parts, accounts, clock, signing, cast("Any", application.app), folder, origin)
        try:
            yield lab
            watch.check()
        finally:
            for client in lab.clients:
                await client.aclose()
