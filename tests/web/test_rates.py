"""Limits by key, person and address: the same answers in memory and in Redis."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from tests.support.brokers import redis_url
from tests.support.web_lab import ANONYMOUS, make_caller, open_web_lab

from flowforge.kit.bus.redis_connection import RedisClients
from flowforge.kit.bus.redis_urls import parse_redis_url
from flowforge.kit.settings import Settings
from flowforge.web.callers import Caller, CredentialKind
from flowforge.web.calls import CallIn
from flowforge.web.errors import RateLimitedError
from flowforge.web.rates import RateKind, Rates, find_kind
from flowforge.web.routing import Router

things = Router("things", "/things")
STRANGER = replace(ANONYMOUS, address="192.0.2.7")


def make_key_caller(tier: str = "free") -> Caller:
    return replace(make_caller(), kind=CredentialKind.KEY, credential="key:key_1", tier=tier, address="192.0.2.9")


@asynccontextmanager
async def open_rates(settings: Settings, url: str | None) -> AsyncGenerator[Rates]:
    rates = Rates(settings, None if url is None else RedisClients(parse_redis_url(url, "REDIS_URL")))
    yield rates
    await rates.aclose()


async def count_until_refused(rates: Rates, caller: Caller, kind: RateKind) -> tuple[int, int]:
    for number in range(1_000):
        try:
            await rates.count(caller, kind)
        except RateLimitedError as fault:
            return number, fault.retry_after_s
    raise AssertionError("never refused")


@pytest.mark.parametrize(
    ("caller", "kind", "most"),
    [
        (STRANGER, RateKind.READ, 30),
        (STRANGER, RateKind.AUTH, 20),
        (replace(make_caller(), address="192.0.2.8"), RateKind.START, 40),
        (make_key_caller(), RateKind.READ, 100),
    ],
)
@pytest.mark.parametrize("place", ["memory", "redis"])
async def test_api_42_the_next_one_is_refused_and_told_when_to_come_again(
    place: Literal["memory", "redis"], caller: Caller, kind: RateKind, most: int
):
    mine = uuid4().hex
    caller = replace(caller, address=f"{caller.address}-{mine}", user_id=f"usr_{mine}", credential=f"key:{mine}")
    async with open_rates(Settings(rate_anonymous=30, rate_start=40), redis_url() if place == "redis" else None) as rates:
        await check_limit(rates, caller, kind, most)


async def check_limit(rates: Rates, caller: Caller, kind: RateKind, most: int) -> None:
    mine = caller.credential
    taken, retry_after_s = await count_until_refused(rates, caller, kind)
    assert taken == most
    assert 1 <= retry_after_s <= 60
    other = replace(caller, address=f"198.51.100.1-{mine}", user_id=f"other_{mine}", credential=f"other:{mine}")
    standing = await rates.count(other, kind)
    assert standing is not None, "others are not affected"
    assert (standing.limit, standing.remaining) == (most, most - 1)


async def test_m02_a_tier_has_a_limit_a_day(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowforge.web.rates.TIERS", {"free": (100, 3)})
    taken, retry_after_s = await count_until_refused(Rates(Settings()), make_key_caller(), RateKind.READ)
    assert taken == 3
    assert 3_600 < retry_after_s <= 86_400


async def test_the_own_machine_is_not_limited_unless_a_proxy_stands_for_others():
    local = replace(ANONYMOUS, address="127.0.0.1")
    assert await Rates(Settings()).count(local, RateKind.AUTH) is None
    assert await Rates(Settings(trusted_proxies="127.0.0.1")).count(local, RateKind.AUTH) is not None


async def test_wh_32_strangers_are_counted_together_wherever_they_guess():
    rates = Rates(Settings(rate_anonymous=30))
    for _ in range(30):
        await rates.count_stranger("192.0.2.7")
    with pytest.raises(RateLimitedError):
        await rates.count_stranger("192.0.2.7")


@pytest.mark.parametrize(
    ("method", "path", "guard", "kind"),
    [
        ("GET", "/api/v1/runs", "run:read", RateKind.READ),
        ("POST", "/api/v1/runs", "workflow:start", RateKind.START),
        ("POST", "/api/v1/triggers", "trigger:manage", RateKind.TRIGGER),
        ("POST", "/api/v1/auth/login", "open", RateKind.AUTH),
        ("PATCH", "/api/v1/users/x", "user:manage", RateKind.CALL),
    ],
)
def test_a_route_is_counted_by_what_it_does(method: str, path: str, guard: str, kind: RateKind):
    assert find_kind(method, path, guard) is kind


async def test_f34_where_redis_is_away_each_process_counts_alone():
    async with open_rates(Settings(rate_anonymous=2), "redis://127.0.0.1:1/0") as rates:
        assert (await count_until_refused(rates, STRANGER, RateKind.READ))[0] == 2
        assert (await count_until_refused(rates, replace(STRANGER, address="192.0.2.8"), RateKind.READ))[0] == 2


@things.get("", "thing:read")
async def list_things(call: CallIn) -> dict[str, str]:
    return {"by": call.actor}


async def test_m04_every_answer_tells_the_limit_and_the_one_above_it_when_to_come_again(tmp_path: Path):
    settings = {"trusted_proxies": "127.0.0.1", "rate_read": 2, "rate_anonymous": 1}
    async with open_web_lab(tmp_path, [things], settings=settings) as lab:
        answers = [await lab.client.get("/api/v1/things") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers.get("x-ratelimit-remaining") for answer in answers[:2]] == ["1", "0"]
        assert {answer.headers["x-ratelimit-limit"] for answer in answers[:2]} == {"2"}
        assert 1 <= int(answers[1].headers["x-ratelimit-reset"]) <= 60
        assert 1 <= int(answers[2].headers["retry-after"]) <= 60
        assert answers[2].json()["error"]["code"] == "RATE_LIMITED"
        # Whoever is refused is counted, too: by address.
        lab.gate.caller = ANONYMOUS
        assert [(await lab.client.get("/api/v1/things")).status_code for _ in range(2)] == [401, 429]
