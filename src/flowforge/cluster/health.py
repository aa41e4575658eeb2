"""Health pages of one process: `/health`, `/live`, `/ready`, `/metrics`, by whatever role it has.

The pages are plain ASGI and know no role: they are given checks and metrics. They are served before anything else is opened, so that a
process which still waits for its database says so.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Final

from flowforge.kit.border import encode
from flowforge.kit.clock import Clock
from flowforge.kit.errors import FlowForgeError
from flowforge.kit.ids import make_id
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.kit.values import JsonObject

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

PROBE_TIMEOUT_S: Final = 2.0
"""A check that has not answered by then counts as unreachable."""
FRESH_S: Final = 1.0
"""Answers younger than this are given again: whoever asks often costs the database nothing."""
RETRY_AFTER_S: Final = 5

_JSON: Final = b"application/json"
_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
_FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip")

logger = get_logger("cluster.health")


class CheckStatus(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    """It works, and a person should look at it."""
    UNREACHABLE = "unreachable"
    """It cannot be used now."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`message` is a sentence where the status is not `ok`. `latency_ms` is set by the pages."""

    status: CheckStatus
    message: str = ""
    latency_ms: float = 0.0


OK: Final = CheckResult(CheckStatus.OK)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that a process depends on. Without one that `is_needed` it is not ready.

    `probe` may raise FlowForgeError, OSError or TimeoutError: then the thing is unreachable.
    """

    name: str
    probe: Callable[[], Awaitable[CheckResult]]
    is_needed: bool = False


class Stage(StrEnum):
    STARTING = "starting"
    READY = "ready"
    CLOSING = "closing"


@dataclass(slots=True)
class _Looked:
    at_s: float = float("-inf")
    results: dict[str, CheckResult] = field(default_factory=dict[str, CheckResult])


class HealthPages:
    """The ASGI application. `add` checks at any time; `stage` is moved on by the process as it opens and closes."""

    def __init__(
        self, checks: Sequence[HealthCheck], metrics: Metrics, *, clock: Clock, version: str, metrics_token: str | None = None
    ) -> None:
        self._checks = list(checks)
        self._metrics = metrics
        self._clock = clock
        self._version = version
        self._metrics_token = metrics_token
        self._started_s = clock.monotonic_s()
        self._looked = _Looked()
        self._looking = asyncio.Lock()
        self.stage = Stage.STARTING

    @property
    def uptime_s(self) -> float:
        """Since the process began to serve its pages."""
        return self._clock.monotonic_s() - self._started_s

    def add(self, *checks: HealthCheck) -> None:
        """Further checks, from the next request on; one of the same name is replaced."""
        names = {check.name for check in checks}
        self._checks = [*(check for check in self._checks if check.name not in names), *checks]
        self._looked = _Looked()

    async def look(self) -> dict[str, CheckResult]:
        """The result of each check by its name, at most FRESH_S old. One look at a time: others wait for its results."""
        async with self._looking:
            if self._clock.monotonic_s() - self._looked.at_s >= FRESH_S:
                checks = list(self._checks)
                found = await asyncio.gather(*(self._probe(check) for check in checks))
                results = {check.name: result for check, result in zip(checks, found, strict=True)}
                self._looked = _Looked(self._clock.monotonic_s(), results)
            return self._looked.results

    async def _probe(self, check: HealthCheck) -> CheckResult:
        before_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                result = await check.probe()
        except TimeoutError:
            result = CheckResult(CheckStatus.UNREACHABLE, f"No answer within {PROBE_TIMEOUT_S:g} s.")
        except FlowForgeError as fault:
            result = CheckResult(CheckStatus.UNREACHABLE, fault.message)
        except OSError as fault:
            result = CheckResult(CheckStatus.UNREACHABLE, fault.strerror or str(fault))
        latency_ms = round((self._clock.monotonic_s() - before_s) * 1_000, 3)
        return CheckResult(result.status, result.message, latency_ms)

    async def find_hindrances(self) -> dict[str, str]:
        """Why the process is not ready, by the name of the check (or `stage`); empty: it is ready."""
        if self.stage is not Stage.READY:
            return {"stage": f"The process is {self.stage.value}."}
        results = await self.look()
        needed = [check.name for check in self._checks if check.is_needed]
        return {
            name: results[name].message or "It cannot be used now."
            for name in needed
            if name in results and results[name].status is CheckStatus.UNREACHABLE
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: GET and HEAD of the four pages."""
        del receive
        if scope["type"] != "http":
            return
        answer = await self._answer(scope)
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, scope: Scope) -> "_Answer":
        pages = {"/health": self._health, "/live": self._live, "/ready": self._ready, "/metrics": self._show_metrics}
        page = pages.get(scope["path"])
        if page is None:
            return _refuse(404, "NOT_FOUND", "There is no such page here: /health, /live, /ready, /metrics.")
        if scope["method"] not in {"GET", "HEAD"}:
            return _refuse(405, "METHOD_NOT_ALLOWED", "This page is only read: GET or HEAD.", (b"allow", b"GET, HEAD"))
        return await page(scope)

    async def _health(self, _scope: Scope) -> "_Answer":
        """Always 200: for people and dashboards. Who must act on an answer asks /ready or /live."""
        results = await self.look()
        needed = {check.name for check in self._checks if check.is_needed}
        statuses = {name: result.status for name, result in results.items()}
        if any(statuses[name] is CheckStatus.UNREACHABLE for name in needed if name in statuses):
            status = CheckStatus.UNREACHABLE
        elif any(found is not CheckStatus.OK for found in statuses.values()):
            status = CheckStatus.DEGRADED
        else:
            status = CheckStatus.OK
        return _answer_json(
            200,
            {
                "status": status.value,
                "stage": self.stage.value,
                "version": self._version,
                "uptime_seconds": round(self.uptime_s, 3),
                "checks": {name: _describe(result) for name, result in results.items()},
            },
        )

    async def _live(self, _scope: Scope) -> "_Answer":
        """That this is answered says that the process' loop turns."""
        return _answer_json(200, {"status": "ok"})

    async def _ready(self, _scope: Scope) -> "_Answer":
        hindrances = await self.find_hindrances()
        if not hindrances:
            return _answer_json(200, {"status": "ok"})
        told: JsonObject = {"status": "unavailable", "reasons": dict(hindrances)}
        return _answer_json(503, told, (b"retry-after", str(RETRY_AFTER_S).encode()))

    async def _show_metrics(self, scope: Scope) -> "_Answer":
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if self._metrics_token is None:
            if not _is_local(scope, headers):
                return _refuse(403, "FORBIDDEN", "Metrics are for this machine only; METRICS_TOKEN opens them to others.")
        elif not _has_token(headers, self._metrics_token):
            message = "Metrics need the header `Authorization: Bearer` with METRICS_TOKEN."
            return _refuse(401, "UNAUTHORIZED", message, (b"www-authenticate", b"Bearer"))
        return _Answer(200, self._metrics.render(), _TEXT)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    content_type: bytes = _JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def _answer_json(status: int, value: JsonObject, *headers: tuple[bytes, bytes]) -> _Answer:
    return _Answer(status, encode(value), headers=headers)


def _refuse(status: int, code: str, message: str, *headers: tuple[bytes, bytes]) -> _Answer:
    error: JsonObject = {"code": code, "message": message, "details": [], "requestId": make_id("req")}
    return _answer_json(status, {"error": error}, *headers)


def _describe(result: CheckResult) -> JsonObject:
    described: JsonObject = {"status": result.status.value, "latency_ms": result.latency_ms}
    return described | {"message": result.message} if result.message else described


def _is_local(scope: Scope, headers: list[tuple[bytes, bytes]]) -> bool:
    """From this machine, and not handed on by a proxy on it."""
    client = scope.get("client")
    if not client or any(name in _FORWARDED for name, _ in headers):
        return False
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _has_token(headers: list[tuple[bytes, bytes]], token: str) -> bool:
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1:
        return False
    scheme, _, credential = given[0].partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(credential.strip(), token.encode())
