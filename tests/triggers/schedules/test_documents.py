"""A document's schedule and one that is previewed take the same texts."""

from pathlib import Path

import pytest
from tests.support.language_catalog import catalog
from tests.support.trigger_lab import WORKFLOW_ID, open_trigger_lab

from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.times import parse_timestamp_ms
from flowforge.triggers.checking import check_trigger
from flowforge.triggers.errors import TriggerInvalidError
from flowforge.triggers.schedule_errors import ScheduleError
from flowforge.triggers.schedule_firing import ScheduleDuty
from flowforge.triggers.schedule_reading import read_schedule
from flowforge.triggers.service import replace_triggers

SECONDS = Limits(cron_min_ms=1_000)
NINE_MS = parse_timestamp_ms("2026-04-01T09:00:00Z")


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("cron", "*/10 * * * * *", None),
        ("cron", "* * * * *", None),
        ("cron", "* * * * * * *", "cron_fields"),
        ("cron", "@hourly", None),
        ("at", "2030-03-31T02:30", None),
        ("at", "2030-03-31T02:30:15", None),
        ("at", "2030-03-31T02:30:15.5+02:00", None),
        ("at", "2030-02-30T02:30", "time"),
        ("at", "2030-03-31 02:30", "time"),
        ("at", "2030-03-31T02", "time"),
        ("at", "٢٠٣٠-03-31T02:30", "time"),
    ],
)
def test_documents_and_previews_take_the_same_texts(name: str, text: str, code: str | None):
    def find_code() -> str | None:
        try:
            read_schedule({name: text, "timezone": "Europe/Berlin"}, SECONDS)
        except ScheduleError as fault:
            return fault.details[0].code
        return None

    def find_fault() -> str | None:
        try:
            check_trigger({"id": "t", "uses": "schedule", "with": {name: text}}, catalog(), SECONDS)
        except TriggerInvalidError as fault:
            return fault.details[0].code
        return None

    assert (find_fault(), find_code()) == (code, code)


async def test_six_fields_are_published_where_the_setting_allows_them_and_fire(tmp_path: Path):
    document: JsonObject = {"triggers": [{"id": "t", "uses": "schedule", "with": {"cron": "*/10 * * * * *"}}]}
    async with open_trigger_lab(tmp_path, NINE_MS) as lab:

        async def publish(limits: Limits) -> None:
            async with lab.database.write.begin() as session:
                await replace_triggers(session, "user:x", DEFAULT_WORKSPACE_ID, WORKFLOW_ID, "often", document, NINE_MS, limits)

        with pytest.raises(TriggerInvalidError) as caught:
            await publish(Limits())
        assert [(fault.field, fault.code) for fault in caught.value.details] == [("triggers[0].with.cron", "cron_fields")]
        await publish(SECONDS)
        duty = ScheduleDuty(lab.database, lab.firing, lab.clock)
        for _ in range(2):
            lab.clock.advance(10_000)
            await duty.run_once()
        assert [run.trigger["slot"] for run in await lab.list_runs()] == ["2026-04-01T09:00:10Z", "2026-04-01T09:00:20Z"]
