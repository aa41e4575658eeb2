"""Every list has the one form: pages by cursor, and filters, orders and searches that work as the document tells them."""

import json
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from scripts.openapi_document import TARGET
from sqlalchemy import select
from tests.architecture.sources import REPOSITORY
from tests.support.databases import Kind
from tests.support.server_lab import NOTE, ServerLab, open_server_lab
from tests.support.sessions import open_database_sessions

from flowforge.audit import filters as audit
from flowforge.identity import lists as identity
from flowforge.kit.ids import InvalidIdError, make_id
from flowforge.live import lists as live
from flowforge.triggers import lists as triggers
from flowforge.triggers.models import TriggerRow
from flowforge.triggers.schedule_models import ScheduleRow
from flowforge.web.errors import ParameterError
from flowforge.web.lists import WHERE_MAX, Asked, make_cursor
from flowforge.web.selecting import ListForm
from flowforge.workflows import lists as workflows

ENDLESS: Final = {"/api/v1/runs/{run_id}/events", "/api/v1/schedules/{schedule_id}/next"}
"""Lists that go on with time: the one by `after`, the other as far as `limit` says."""
FORMS: Final = [
    form
    for module in (audit, identity, live, triggers, workflows)
    for form in vars(module).values()
    if isinstance(form, ListForm)
]
VALUES: Final = ("x", "true", "2026-03-01T08:00:00Z", "7", "document", "delivered", "active", "live", "draft", make_id("prj"))
_FIELD: Final = re.compile(r"([a-z_.*]+) \(([a-z_ ]+)\)")


def list_lists() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Path, operation and the properties of the answer of every GET that answers rows."""
    document: dict[str, Any] = json.loads((REPOSITORY / TARGET).read_bytes())
    for path, item in document["paths"].items():
        answer = item.get("get", {}).get("responses", {}).get("200", {})
        schema: dict[str, Any] = answer.get("content", {}).get("application/json", {}).get("schema", {})
        known = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
        properties = known.get("properties", {})
        if known.get("type") == "array" or properties.get("data", {}).get("type") == "array":
            yield path, item["get"], properties


def list_queries(operation: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("description", "") for one in operation.get("parameters", ()) if one["in"] == "query"}


def test_each_list_answers_pages_and_takes_limit_and_cursor():
    found = {path: (list_queries(operation), properties) for path, operation, properties in list_lists()}
    assert len(found) > 40
    for path, (queries, properties) in found.items():
        assert {"data", "next_cursor"} <= set(properties), path
        assert {"limit", "cursor"} <= set(queries) or path in ENDLESS, path


def test_the_page_names_the_fields_of_each_list():
    page = (REPOSITORY / "docs/server.md").read_text("utf-8").partition("## Lists")[2].partition("\n## ")[0].replace("\\*", "*")
    for form in FORMS:
        assert [name for name in {**form.filters, **form.sorts} if not re.search(rf"\b{re.escape(name)}(?!\w)", page)] == [], (
            form.name
        )


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[ServerLab]:
    async with open_server_lab(tmp_path) as lab:
        yield lab


async def find_places(lab: ServerLab) -> dict[str, str]:
    """What stands for the parts of paths."""
    hook = {"id": "hook", "uses": "webhook", "with": {"path": "note", "auth": "none"}}
    workflow = await lab.publish({**NOTE, "triggers": [hook, {"id": "daily", "uses": "schedule", "with": {"cron": "0 7 * * *"}}]})
    for name in ("SHOP", "STORE"):
        for kind in ("secrets", "variables"):
            assert (await lab.client.put(f"/api/v1/{kind}/{name}", json={"value": "7"})).status_code == 200
    group = await lab.client.post("/api/v1/groups", json={"name": "Finance"})
    sent = {"url": "https://example.com/hook", "types": ["*"]}
    subscription = await lab.client.post("/api/v1/event-subscriptions", json=sent)
    run = await lab.client.post("/api/v1/runs", json={"workflow": "note", "input": {}})
    rows = {path: (await lab.client.get(f"/api/v1/{path}")).json()["data"] for path in ("triggers", "keys")}
    return {
        "workflow": workflow,
        "name": "SHOP",
        "group": group.json()["id"],
        "subscription_id": subscription.json()["id"],
        "run_id": run.json()["id"],
        "trigger_id": rows["triggers"][0]["id"],
        "key": rows["keys"][0]["id"],
        "user": (await lab.client.get("/api/v1/me")).json()["id"],
    }


async def test_every_list_does_what_the_document_tells_of_it(lab: ServerLab):
    places = await find_places(lab)
    foreign = (await lab.client.get("/api/v1/triggers/types?limit=1")).json()["next_cursor"]
    for path, operation, _ in list_lists():
        queries = list_queries(operation)
        if path in ENDLESS:
            continue
        url = path.format_map(places)
        needed = {"by": "status"} if "by" in queries else {"permission": "run:read"} if "permission" in queries else {}

        async def ask(url: str = url, needed: dict[str, str] = needed, **query: str) -> tuple[int, dict[str, Any]]:
            answer = await lab.client.get(url, params={**needed, **query})
            assert answer.status_code in {200, 422}, (url, query, answer.text)
            return answer.status_code, answer.json() if answer.status_code == 200 else answer.json()["error"]["details"][0]

        _, page = await ask(limit="1")
        assert len(page["data"]) <= 1, path
        if page["next_cursor"] is not None:
            assert (await ask(limit="1", cursor=page["next_cursor"]))[1]["data"] != page["data"], path
        if not path.endswith("/triggers/types"):
            assert (await ask(cursor=foreign))[1]["code"] == "cursor_invalid", path
        await check_fields(ask, path, queries)


async def check_fields(ask: Any, path: str, queries: dict[str, str]) -> None:
    fields = _FIELD.findall(queries.get("where", ""))
    if "where" in queries:
        assert fields, path
        status, refused = await ask(where="nothing:eq:x")
        assert (status, refused["code"]) == (422, "where_unknown"), path
        assert all(name in refused["message"] for name, _ in fields), path
    for name, ops in fields:
        value = "2026-03-01T08:00:00Z" if ops.startswith("lt") else "7"
        status, told = await ask(where=f"{name.replace('*', 'team')}:{ops.split()[0]}:{value}")
        assert status == 200 or told["code"] in {"where_invalid", "id_invalid"}, (path, name, told)
    if "sort" in queries:
        assert (await ask(sort="nothing"))[1]["code"] == "sort_unknown", path
        for name in queries["sort"].removeprefix("One of ").partition(";")[0].split(", "):
            assert (await ask(sort=f"-{name}", limit="1"))[0] == 200, (path, name)
    if "q" in queries:
        assert (await ask(q="%nothing%"))[1]["data"] == [], path


def find_conditions(form: ListForm) -> Sequence[str]:
    """Each field with each of its ops, and a value that it takes."""
    found: list[str] = []
    for name, ops in form.fields.items():
        for op in ops:
            texts = [f"{name.replace('*', 'team')}:{op}:{value}" for value in VALUES]
            found.append(next(text for text in texts if takes(form, text)))
    return found


def takes(form: ListForm, condition: str) -> bool:
    try:
        form.read(Asked(where=(condition,)))
    except (ParameterError, InvalidIdError):
        return False
    return True


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_every_field_of_every_list_is_a_query_that_databases_take(kind: Kind, tmp_path: Path):
    assert len(FORMS) > 18
    async with open_database_sessions(kind, tmp_path) as database, database.read() as session:
        for form in FORMS:
            for asked in list_requests(form):
                # One that a database does not understand raises here.
                await session.execute(form.read(asked).narrow(make_query(form)))


def make_query(form: ListForm) -> Any:
    query = select(form.unique.column)
    is_joined = form is triggers.SCHEDULES
    return query.select_from(ScheduleRow).join(TriggerRow, TriggerRow.id == ScheduleRow.trigger_id) if is_joined else query


def list_requests(form: ListForm) -> Iterator[Asked]:
    """All conditions, and the second page of each order."""
    conditions = find_conditions(form)
    for first in range(0, len(conditions), WHERE_MAX):
        yield Asked(where=tuple(conditions[first : first + WHERE_MAX]), q="100%" if form.search else "")
    for sort in (*form.sorts, *(f"-{name}" for name in form.sorts)):
        selection = form.read(Asked(sort=sort))
        yield Asked(sort=sort, cursor=make_cursor(selection.mark, [7 if one.kind is int else "x" for one in selection.sorts]))


@pytest.mark.parametrize("other", [Asked(where=("name:eq:x",)), Asked(q="x"), Asked(sort="-name"), Asked(sort="updated_at")])
def test_a_cursor_is_of_its_list_with_its_filter_and_order(other: Asked):
    selection = workflows.PROJECTS.read(Asked(), "ws_1")
    cursor = make_cursor(selection.mark, ["a", "prj_1"])
    assert workflows.PROJECTS.read(Asked(cursor=cursor), "ws_1").mark == selection.mark
    for asked, workspace in ((other, "ws_1"), (Asked(), "ws_2")):
        with pytest.raises(ParameterError, match="not of this list"):
            workflows.PROJECTS.read(replace(asked, cursor=cursor), workspace)
