"""Schedules and calendars over HTTP, and what a schedule's parameters may be."""

from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support.clock import ManualClock
from tests.support.trigger_lab import RowRunner, TriggerLab, make_firing
from tests.support.web_lab import WebLab, make_caller, open_web_lab

from flowforge.audit.models import AuditRow
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, make_id
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.triggers import schedule
from flowforge.triggers.attaching import pause
from flowforge.triggers.backfill import BackfillKind
from flowforge.triggers.firing import Firing
from flowforge.triggers.schedule import check_schedule, list_warnings
from flowforge.triggers.schedule_endpoints import ROUTERS
from flowforge.triggers.schedule_errors import SchedulesFullError
from flowforge.triggers.types import Paused
from flowforge.triggers.upcoming import list_next_times
from flowforge.web.batches.types import BatchKinds
from flowforge.web.batches.working import BatchDuty, get_batch
from flowforge.web.errors import find_status


def make_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


NOW = make_ms("2026-04-01T09:00:30Z")


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def lab(tmp_path: Path, clock: ManualClock) -> AsyncGenerator[WebLab]:
    ports: dict[type, object] = {ManualClock: clock, BatchKinds: BatchKinds([BackfillKind()])}
    async with open_web_lab(tmp_path, ROUTERS, clock=clock, ports=ports) as lab:
        ports[Firing] = make_firing(lab.parts.database, RowRunner(lab.parts.database, clock), clock)
        yield lab


@pytest.fixture
async def triggers(lab: WebLab, clock: ManualClock) -> TriggerLab:
    runner = RowRunner(lab.parts.database, clock)
    return TriggerLab(lab.parts.database, clock, runner, make_firing(lab.parts.database, runner, clock))


async def preview(lab: WebLab, **body: Any) -> tuple[int, Any]:
    answer = await lab.client.post("/api/v1/schedules/preview", json=body)
    told = answer.json()
    return answer.status_code, told["error"]["details"][0]["code"] if "error" in told else told


async def test_cron_27_a_preview_tells_words_zone_and_the_next_twenty(lab: WebLab):
    status, told = await preview(lab, cron="0 7 * * 1-5")
    assert status == 200
    assert told["timezone"] == "UTC"
    assert told["explanation"] == "At 07:00 on Monday through Friday, UTC time."
    assert len(told["next"]) == 20
    assert told["next"][0]["at"] == "2026-04-02T07:00:00Z"


async def test_cron_20_a_preview_warns_of_either_day(lab: WebLab):
    _, told = await preview(lab, cron="0 7 1 * 1")
    assert len(told["warnings"]) == 1
    assert not list_warnings({"cron": "0 7 1 * *"})


async def test_cron_36_a_moment_that_the_clocks_skip_is_moved_and_shown(lab: WebLab):
    status, told = await preview(lab, at="2027-03-28T02:30", timezone="Europe/Berlin")
    assert status == 200
    assert told["next"] == [
        {
            "at": "2027-03-28T01:00:00Z",
            "local": "2027-03-28T03:00:00+02:00",
            "nominal": "2027-03-28T02:30:00",
            "is_moved": True,
        }
    ]
    assert "skip" in told["explanation"]


async def test_a_preview_of_an_interval_counts_from_its_start(lab: WebLab):
    _, told = await preview(lab, every="90m", start="2026-04-01T08:15:00Z", limit=2)
    assert [slot["at"] for slot in told["next"]] == ["2026-04-01T09:45:00Z", "2026-04-01T11:15:00Z"]
    _, told = await preview(lab, every="1h", limit=1)
    assert told["next"][0]["at"] == "2026-04-01T10:00:00Z", "without a start on the hour"


@pytest.mark.parametrize(
    ("case", "body", "code"),
    [
        ("cron_01", {"cron": ""}, "cron_syntax"),
        ("cron_25", {"cron": "1," * 5_000}, "cron_length"),
        ("cron_28", {"cron": "* * * * *", "timezone": "CEST"}, "timezone"),
        ("cron_32", {"cron": "* * * * *", "start": "2027-01-02T00:00Z", "end": "2027-01-01T00:00Z"}, "time"),
        ("cron_32", {"cron": "* * * * *", "start": "2027-01-02T00:00:00Z", "end": "2027-01-01T00:00:00Z"}, "time_order"),
        ("cron_33_start", {"cron": "* * * * *", "start": "9999-01-01T00:00:00Z"}, "cron_horizon"),
        ("cron_33_local", {"cron": "* * * * *", "start": "9999-12-31T23:59"}, "cron_horizon"),
        ("cron_33_at", {"at": "2040-01-01T00:00:00Z"}, "cron_horizon"),
        ("cron_33_none", {"cron": "0 0 29 2 *", "end": "2027-01-01T00:00:00Z"}, "cron_horizon"),
        ("cron_34_zero", {"every": "0s"}, "duration"),
        ("cron_34_negative", {"every": "-1"}, "duration"),
        ("cron_34_short", {"every": "1ms"}, "cron_min"),
        ("cron_34_long", {"every": "1000y"}, "duration"),
        ("cron_34_beyond", {"every": "4000d"}, "cron_horizon"),
        ("cron_35", {"at": "2026-04-01T09:00:00Z"}, "time_past"),
        ("cron_35_end", {"cron": "* * * * *", "end": "2026-04-01T09:00:00Z"}, "time_past"),
        ("cron_37", {"every": "5m", "jitter": "6m"}, "jitter"),
        ("cron_37_cron", {"cron": "*/5 * * * *", "jitter": "301s"}, "jitter"),
        ("cron_37_at", {"at": "2027-01-01T00:00:00Z", "jitter": "25h"}, "jitter"),
        ("cron_39", {"cron": "* * * * *", "limit": 1_000_000}, "limit"),
        ("cron_39_none", {"cron": "* * * * *", "limit": 0}, "limit"),
        ("two", {"cron": "* * * * *", "every": "5m"}, "one_of"),
        ("none", {}, "one_of"),
        ("calendar", {"cron": "* * * * *", "calendar": "none"}, "calendar_unknown"),
        ("no_time", {"at": "tomorrow"}, "time"),
        ("no_day", {"at": "2027-02-30T02:30"}, "time"),
    ],
)
async def test_cron_refused_schedules(case: str, body: JsonObject, code: str, lab: WebLab):
    status, told = await preview(lab, **body)
    assert status == (404 if code == "calendar_unknown" else 422), case
    assert told == code, case


async def test_cron_38_a_workspace_has_so_many_schedules_at_most(triggers: TriggerLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schedule, "SCHEDULES_MAX", 2)
    first = await triggers.add("schedule", {"cron": "* * * * *"}, key="a")
    await triggers.add("schedule", {"cron": "* * * * *"}, key="b")
    with pytest.raises(SchedulesFullError) as caught:
        await triggers.add("schedule", {"cron": "* * * * *"}, key="c")
    assert (find_status(caught.value), caught.value.details[0].code) == (422, "schedules_max")
    await triggers.add("schedule", {"cron": "5 * * * *"}, trigger_id=first.id)
    await triggers.remove(first)
    await triggers.add("schedule", {"cron": "* * * * *"}, key="c")


async def test_yml_34_a_document_with_a_bad_schedule_is_told_each_fault(triggers: TriggerLab):
    async with triggers.database.read() as session:
        bad: JsonObject = {"cron": "0 0 30 2 *", "timezone": "UTC"}
        faults = await check_schedule(session, DEFAULT_WORKSPACE_ID, bad, Limits(), NOW)
        assert [(fault.field, fault.code) for fault in faults] == [("cron", "cron_never")]
        assert await check_schedule(session, DEFAULT_WORKSPACE_ID, {"cron": "@daily"}, Limits(), NOW) == ()
        unknown = await check_schedule(session, DEFAULT_WORKSPACE_ID, {"cron": "@daily", "calendar": "x"}, Limits(), NOW)
        assert [(fault.field, fault.code) for fault in unknown] == [("calendar", "calendar_unknown")]


async def test_live_schedules_are_listed_with_their_next_times(lab: WebLab, triggers: TriggerLab):
    trigger = await triggers.add("schedule", {"cron": "0 7 * * *", "timezone": "Europe/Berlin"})
    await triggers.add("schedule", {"every": "1h"}, key="u")
    page = (await lab.client.get("/api/v1/schedules?limit=1")).json()
    (row,) = page["data"]
    assert row["id"] == trigger.id
    assert row["with"] == {"cron": "0 7 * * *", "timezone": "Europe/Berlin"}
    assert (row["status"], row["timezone"], row["next_at"]) == ("live", "Europe/Berlin", "2026-04-02T05:00:00Z")
    assert len(row["next"]) == 3
    rest = (await lab.client.get("/api/v1/schedules", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert [found["key"] for found in rest["data"]] == ["u"]
    lab.gate.caller = make_caller("trigger:read", workspace_id="ws_" + "1" * 26)
    assert (await lab.client.get("/api/v1/schedules")).json()["data"] == []


async def test_the_next_slots_of_a_schedule(lab: WebLab, triggers: TriggerLab):
    trigger = await triggers.add("schedule", {"cron": "0 7 * * *"})
    path = f"/api/v1/schedules/{trigger.id}/next"
    assert len((await lab.client.get(path)).json()["data"]) == 20
    assert len((await lab.client.get(f"{path}?limit=100")).json()["data"]) == 100
    refused = await lab.client.get(f"{path}?limit=1000000")
    assert (refused.status_code, refused.json()["error"]["details"][0]["code"]) == (422, "limit")
    assert (await lab.client.get(f"/api/v1/schedules/{make_id('trg')}/next")).status_code == 404
    assert (await lab.client.get("/api/v1/schedules/nothing/next")).status_code == 422


async def test_a_backfill_runs_the_slots_of_a_window_once(lab: WebLab, triggers: TriggerLab):
    trigger = await triggers.add("schedule", {"cron": "0 7 * * *"})
    path = f"/api/v1/schedules/{trigger.id}/backfill"
    body = {"from": "2026-03-01T07:00:00Z", "to": "2026-03-10T07:00:00Z"}
    told = (await lab.client.post(path, json=body)).json()
    assert told == {"total": 10, "started": 10, "existing": 0, "failed": 0, "errors": []}
    body["to"] = "2026-03-11T08:00:00+00:00"
    told = (await lab.client.post(path, json=body)).json()
    assert (told["total"], told["started"], told["existing"]) == (11, 1, 10)
    found = await triggers.list_runs()
    assert all(run.trigger["late"] is True for run in found)
    async with lab.parts.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(AuditRow)) == 2


async def test_next_times_are_those_of_schedules_that_will_fire(lab: WebLab, triggers: TriggerLab):
    late = await triggers.add("schedule", {"cron": "0 7 * * *"})
    soon = await triggers.add("schedule", {"every": "1h"})
    paused = await triggers.add("schedule", {"every": "1m"})
    async with lab.call().change() as session:
        await pause(session, "user:a", DEFAULT_WORKSPACE_ID, paused.id, Paused.KEEP, at_ms=NOW)
    told = await list_next_times(lab.call(), 10)
    assert [row["trigger_id"] for row in told] == [soon.id, late.id]
    assert told[1] == {
        "trigger_id": late.id,
        "workflow_id": late.workflow_id,
        "workflow": late.workflow,
        "at": "2026-04-02T07:00:00Z",
    }
    assert len(await list_next_times(lab.call(), 1)) == 1
    lab.gate.caller = make_caller("run:read")
    assert await list_next_times(lab.call(), 10) == []


async def test_a_backfill_goes_on_without_its_caller(lab: WebLab, triggers: TriggerLab):
    trigger = await triggers.add("schedule", {"cron": "0 7 * * *"})
    body = {"from": "2026-03-01T07:00:00Z", "to": "2026-03-20T07:00:00Z"}
    answer = await lab.client.post(f"/api/v1/schedules/{trigger.id}/backfill?wait=0s", json=body)
    batch = answer.json()
    assert (answer.status_code, batch["total"], batch["done"]) == (202, 20, 16)
    assert answer.headers["location"] == f"/api/v1/batches/{batch['id']}"
    await BatchDuty(lab.parts).run_once()
    result = (await get_batch(lab.call(), batch["id"])).result
    assert result == {"total": 20, "started": 20, "existing": 0, "failed": 0, "errors": []}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "time_order"),
        ({"from": "2026-03-02T00:00:00Z", "to": "2026-05-01T00:00:00Z"}, "time_future"),
        ({"from": "2020-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "slots_max"),
        ({"from": "2026-03-02", "to": "2026-03-01T00:00:00Z"}, "timestamp"),
        ({"to": "2026-03-01T00:00:00Z"}, "field_missing"),
    ],
)
async def test_bad_windows_are_refused(body: JsonObject, code: str, lab: WebLab, triggers: TriggerLab):
    trigger = await triggers.add("schedule", {"every": "1h"})
    answer = await lab.client.post(f"/api/v1/schedules/{trigger.id}/backfill", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["code"] in {code, "time"}
    assert await triggers.list_runs() == []


async def test_a_calendar_decides_which_days_count(lab: WebLab, triggers: TriggerLab):
    made = await lab.client.post(
        "/api/v1/calendars",
        json={"name": "berlin", "countries": ["DE-BE"], "closed": ["2026-04-02"], "open": ["2026-04-04"]},
    )
    assert made.status_code == 201
    trigger = await triggers.add("schedule", {"cron": "0 7 * * *", "calendar": "berlin", "timezone": "Europe/Berlin"})
    path = f"/api/v1/schedules/{trigger.id}/next?limit=3"
    # Good Friday is the 3rd, Easter Monday the 6th.
    assert [slot["nominal"][:10] for slot in (await lab.client.get(path)).json()["data"]] == [
        "2026-04-04",
        "2026-04-07",
        "2026-04-08",
    ]
    listed = (await lab.client.get("/api/v1/schedules")).json()["data"]
    assert listed[0]["next_at"] == "2026-04-04T05:00:00Z"
    changed = await lab.client.patch("/api/v1/calendars/berlin", json={"open": [], "countries": []})
    assert (changed.status_code, changed.json()["closed"]) == (200, ["2026-04-02"])
    listed = (await lab.client.get("/api/v1/schedules")).json()["data"]
    assert listed[0]["next_at"] == "2026-04-03T05:00:00Z", "the change is followed at once"
    for answer in (
        await lab.client.delete("/api/v1/calendars/berlin"),
        await lab.client.patch("/api/v1/calendars/berlin", json={"name": "other"}),
    ):
        assert (answer.status_code, answer.json()["error"]["details"][0]["code"]) == (409, "calendar_in_use")
    await triggers.remove(trigger)
    assert (await lab.client.delete("/api/v1/calendars/berlin")).status_code == 204
    assert (await lab.client.get("/api/v1/calendars/berlin")).status_code == 404


async def test_an_interval_keeps_to_the_days_of_its_calendar(lab: WebLab):
    await lab.client.post("/api/v1/calendars", json={"name": "week"})
    _, told = await preview(lab, every="8h", calendar="week", start="2026-04-03T00:00:00Z", limit=4)
    assert [slot["at"][:13] for slot in told["next"]] == ["2026-04-03T00", "2026-04-03T08", "2026-04-03T16", "2026-04-06T00"]


async def test_a_calendar_that_leaves_no_day_is_seen_by_the_preview(lab: WebLab):
    await lab.client.post("/api/v1/calendars", json={"name": "past", "working_days": [], "open": ["2020-01-01"]})
    assert await preview(lab, cron="* * * * *", calendar="past") == (422, "cron_horizon")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "x", "working_days": ["monday"]}, "choice"),
        ({"name": "x", "countries": ["XX"]}, "country"),
        ({"name": "x", "countries": ["DE-XX"]}, "country"),
        ({"name": "x", "closed": ["2026-02-30"]}, "date"),
        ({"name": "x", "closed": ["20260201"]}, "date"),
        ({"name": "x", "closed": ["2026-02-01"], "open": ["2026-02-01"]}, "date_twice"),
        ({"name": "x", "working_days": []}, "blank"),
        ({"name": "Büro"}, "format"),
        ({"name": "taken"}, "name_taken"),
        ({"name": "x", "color": "red"}, "field_unknown"),
    ],
)
async def test_bad_calendars_are_refused(body: JsonObject, code: str, lab: WebLab):
    assert (await lab.client.post("/api/v1/calendars", json={"name": "taken"})).status_code == 201
    answer = await lab.client.post("/api/v1/calendars", json=body)
    assert answer.status_code == (409 if code == "name_taken" else 422)
    assert answer.json()["error"]["details"][0]["code"] == code


async def test_calendars_are_listed_by_name_in_their_workspace(lab: WebLab):
    for name in ("b", "a", "c"):
        await lab.client.post("/api/v1/calendars", json={"name": name})
    page = (await lab.client.get("/api/v1/calendars?limit=2")).json()
    assert [row["name"] for row in page["data"]] == ["a", "b"]
    lab.gate.caller = make_caller("settings:read", workspace_id="ws_" + "1" * 26)
    assert (await lab.client.get("/api/v1/calendars")).json()["data"] == []
    assert (await lab.client.post("/api/v1/calendars", json={"name": "d"})).status_code == 403
