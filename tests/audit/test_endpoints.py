"""The log over REST."""

import csv
import io
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.audit.logbook import KEYS, sign, tamper
from tests.support.web_lab import ANONYMOUS, WebLab, make_caller, open_web_lab

from flowforge.audit.endpoints import ROUTERS
from flowforge.audit.models import AuditRow
from flowforge.audit.proving import verify_file
from flowforge.audit.service import INSTALLATION, Personal, record
from flowforge.audit.verifying import Verdict
from flowforge.kit.database.session import Database
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.signing import SigningKeys
from flowforge.vault.service import list_variables, set_variable

OTHER_WORKSPACE = "ws_" + "2" * 26
AUDITOR = make_caller("audit:read", "audit:verify")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[WebLab]:
    async with open_web_lab(tmp_path, ROUTERS, ports={SigningKeys: KEYS}) as lab:
        await fill(lab)
        lab.gate.caller = AUDITOR
        yield lab


async def note(lab: WebLab, action: str, entity_id: str, workspace_id: str | None = None, after: Any = None) -> None:
    call = lab.call()
    async with call.change() as session:
        await record(session, call, action, action.split(".", maxsplit=1)[0], entity_id, after=after, workspace_id=workspace_id)


async def fill(lab: WebLab) -> None:
    """Four rows of ours, one of the installation, one of another workspace; a checkpoint at 5."""
    for number in range(4):
        await note(lab, "workflow.published", f"wf_{number}", after={"version": number, "title": "=1+1"})
    name = Personal(lab.gate.caller.user_id or "", "Ada")
    await note(lab, "user.created", "usr_x", INSTALLATION, {"name": name})
    await sign(lab.parts.database)
    await note(lab, "workflow.deleted", "wf_far", OTHER_WORKSPACE)


async def get(lab: WebLab, path: str = "", **query: Any) -> Any:
    answer = await lab.client.get(f"/api/v1/audit{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def list_numbers(lab: WebLab, *where: str) -> list[int]:
    return [row["no"] for row in (await get(lab, where=list(where)))["data"]]


async def test_rows_are_listed_newest_first(lab: WebLab):
    rows = (await get(lab))["data"]
    assert [row["no"] for row in rows] == [5, 4, 3, 2, 1]
    assert rows[0]["workspace_id"] is None
    assert rows[0]["after"] == {"name": "Ada"}
    assert rows[1]["workspace_id"] == DEFAULT_WORKSPACE_ID
    assert (rows[1]["ip"], rows[1]["request_id"], rows[1]["time"][-1]) == ("127.0.0.1", "req_test", "Z")


async def test_pages_follow_each_other(lab: WebLab):
    first = await get(lab, limit=3)
    second = await get(lab, limit=3, cursor=first["next_cursor"])
    assert [row["no"] for row in second["data"]] == [2, 1]
    assert second["next_cursor"] is None
    other = await lab.client.get("/api/v1/audit", params={"cursor": first["next_cursor"], "where": "actor:eq:x"})
    assert (other.status_code, other.json()["error"]["details"][0]["code"]) == (422, "cursor_invalid")


async def test_filters_hold_together(lab: WebLab):
    assert await list_numbers(lab, "action:eq:user.created") == [5]
    assert await list_numbers(lab, "action:starts_with:workflow.", "entity_id:in:wf_1,wf_2,wf_far") == [3, 2]
    assert await list_numbers(lab, "entity:eq:user", "actor:eq:nobody") == []
    row = await get(lab, "/3")
    assert await list_numbers(lab, f"time:le:{row['time']}", "entity:eq:workflow") != []
    assert await list_numbers(lab, "time:lt:2020-01-01T00:00:00Z") == []
    assert len(await list_numbers(lab, "time:ge:2020-01-01T00:00:00+02:00", "time:gt:2020-01-01T00:00:00Z")) == 5


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("?where=time:eq:2020-01-01T00:00:00Z", 422, "where_unknown"),
        ("?where=time:lt:yesterday", 422, "where_invalid"),
        ("?where=hash:eq:1", 422, "where_unknown"),
        ("?cursor=AAAA", 422, "cursor_invalid"),
        ("/0", 422, "id_invalid"),
        ("/abc", 422, "id_invalid"),
        ("/99999999999999999999", 422, "id_invalid"),
        ("/%D9%A3", 422, "id_invalid"),
        ("/77", 404, "audit_row_unknown"),
        ("/6", 404, "audit_row_unknown"),
        ("/export?format=xml", 422, "format"),
    ],
)
async def test_bad_requests_are_refused(lab: WebLab, path: str, status: int, code: str):
    answer = await lab.client.get(f"/api/v1/audit{path}")
    assert answer.status_code == status
    details = answer.json()["error"]["details"]
    assert code in {details[0]["code"], details[0]["field"]}


async def test_another_workspace_sees_its_own_rows_alone(lab: WebLab):
    lab.gate.caller = make_caller(workspace_id=OTHER_WORKSPACE)
    assert await list_numbers(lab) == [6]
    assert (await lab.client.get("/api/v1/audit/5")).status_code == 404
    lines = [json.loads(line) for line in (await lab.client.get("/api/v1/audit/export")).text.splitlines()]
    assert [line["kind"] for line in lines] == ["part", "row", "end"]


async def test_guards_hold(lab: WebLab):
    lab.gate.caller = make_caller("audit:read")
    assert (await lab.client.post("/api/v1/audit/verify")).status_code == 403
    assert (await lab.client.get("/api/v1/audit/export")).text.startswith('{"format":1,"kind":"part"}')
    lab.gate.caller = ANONYMOUS
    for path in ("", "/1", "/export", "/checkpoints"):
        assert (await lab.client.get(f"/api/v1/audit{path}")).status_code == 401


def keep(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


async def test_an_export_verifies_offline(lab: WebLab, tmp_path: Path):
    answer = await lab.client.get("/api/v1/audit/export")
    assert answer.headers["content-type"] == "application/jsonl"
    assert b"Ada" not in answer.content
    assert verify_file(keep(tmp_path / "log", answer.content), KEYS.list_public()) == Verdict(6, 5, 6)


async def test_a_table_is_for_people(lab: WebLab):
    answer = await lab.client.get("/api/v1/audit/export", params={"format": "csv", "where": "entity:eq:user"})
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["no"], row["action"], row["after"]) == ("5", "user.created", '{"name":"Ada"}')


async def test_no_cell_of_a_table_is_a_formula(lab: WebLab):
    await note(lab, "workflow.published", "=HYPERLINK(1)")
    answer = await lab.client.get("/api/v1/audit/export", params={"format": "csv"})
    assert [row["entity_id"] for row in csv.DictReader(io.StringIO(answer.text))][-1] == "'=HYPERLINK(1)"


async def test_checkpoints_are_listed(lab: WebLab):
    (found,) = (await get(lab, "/checkpoints"))["data"]
    assert (found["no"], found["key_id"]) == (5, KEYS.current.id)


async def test_verifying_names_the_first_bad_row(lab: WebLab):
    told = (await lab.client.post("/api/v1/audit/verify")).json()
    assert told == {
        "valid": True,
        "checked": 6,
        "first_bad": None,
        "reason": None,
        "message": "",
        "signed_up_to": 5,
    }
    await tamper(lab.parts.database, "UPDATE audit_rows SET actor = 'user:other' WHERE no = 3")
    told = (await lab.client.post("/api/v1/audit/verify")).json()
    assert (told["valid"], told["checked"], told["first_bad"], told["reason"]) == (False, 2, 3, "changed")


async def change_something(lab: WebLab) -> None:
    call = lab.call()
    async with call.change() as session:
        await set_variable(session, DEFAULT_WORKSPACE_ID, "RATE", value=1, at_ms=call.now_ms, limits=call.limits)
        await record(session, call, "variable.set", "variable", "RATE")


async def count_variables(database: Database) -> int:
    async with database.read() as session:
        return len(await list_variables(session, DEFAULT_WORKSPACE_ID))


async def test_what_cannot_be_recorded_does_not_happen(lab: WebLab):
    database = lab.parts.database
    async with database.write.begin() as session:
        await session.execute(text("CREATE TRIGGER full BEFORE INSERT ON audit_rows BEGIN SELECT RAISE(ABORT, 'full'); END"))
    with pytest.raises(Exception, match="full"):
        await change_something(lab)
    assert await count_variables(database) == 0
    async with database.write.begin() as session:
        await session.execute(text("DROP TRIGGER full"))
    await change_something(lab)
    assert await count_variables(database) == 1
    async with database.read() as session:
        assert (await session.get_one(AuditRow, 7)).action == "variable.set"
