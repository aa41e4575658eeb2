"""The example `csv-clean-up`, on its excerpt and on the table of all countries."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from tests.architecture.sources import REPOSITORY
from tests.support.installed import EXAMPLES, Shell, open_installed

ALL = REPOSITORY.parent / "shared" / "data" / "country-codes.csv"
EXCERPT = EXAMPLES / "csv-clean-up" / "raw.csv"
WORKFLOW = EXAMPLES / "csv-clean-up" / "csv-clean-up.yaml"


def read_bytes(table: Path) -> bytes:
    if not table.exists():
        pytest.skip("the table of all countries is not part of the repository")
    return table.read_bytes()


def parse_table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def split_cell(text: str) -> list[str]:
    return [part for part in (piece.replace("\u00a0", " ").strip() for piece in text.split(",")) if part]


def expect_dial(text: str) -> str:
    """The numbers to dial, worked out without FlowForge."""
    return " ".join(re.sub(r" [a-z]$", "", part).replace("-", "") for part in split_cell(text))


@pytest.mark.slow(60)
@pytest.mark.parametrize("table", [pytest.param(EXCERPT, id="the excerpt"), pytest.param(ALL, id="all countries")])
async def test_table_is_cleaned(table: Path, tmp_path: Path):
    content = read_bytes(table)
    raw = {row["ISO3166-1-Alpha-2"]: row for row in parse_table(content)}
    async with open_installed(tmp_path) as place:
        (place.work / "raw.csv").write_bytes(content)
        ended = await place.finish(await place.start(WORKFLOW, {}), 60_000)
        clean = parse_table((place.work / "clean.csv").read_bytes())
        problems = json.loads((place.work / "problems.json").read_text("utf-8"))
    assert ended.status == "completed", ended.error
    assert [row["code"] for row in clean] == sorted(raw)
    for row in clean:
        found = raw[row["code"]]
        assert row["dial"] == expect_dial(found["Dial"])
        assert row["currencies"].split() == split_cell(found["ISO4217-currency_alphabetic_code"])
        assert row["independent"] == ("true" if found["is_independent"] == "Yes" else "false")
    without_currency = {code for code, row in raw.items() if not split_cell(row["ISO4217-currency_alphabetic_code"])}
    assert {problem["code"] for problem in problems if problem["column"] != "Dial"} == without_currency
    assert {problem["code"] for problem in problems if problem["column"] == "Dial"} == {"UM"}


async def test_row_that_fits_no_schema_stops_before_anything_is_written(tmp_path: Path):
    content = read_bytes(EXCERPT).replace(b",AX,", b",A7,")
    async with open_installed(tmp_path) as place:
        (place.work / "raw.csv").write_bytes(content)
        ended = await place.finish(await place.start(WORKFLOW, {}), 60_000)
        written = [path.name for path in place.work.iterdir()]
    assert ended.status == "failed"
    assert ended.error["step"] == "check"
    assert ended.error["code"] == "schema_mismatch"
    assert written == ["raw.csv"]


@pytest.mark.slow(60)
def test_commands_of_the_readme(tmp_path: Path):
    shell = Shell(tmp_path, {"FILE_ROOTS": f"work={tmp_path}"})
    (tmp_path / "raw.csv").write_bytes(EXCERPT.read_bytes())
    result = shell.call("run", str(WORKFLOW))[-1]
    assert result["status"] == "completed"
    assert isinstance(result["output"], dict)
    assert result["output"]["rows"] == 12
    logs = shell.call("runs", "logs", str(shell.call("runs", "list")[0]["id"]))
    assert "cleaned 12 rows, 2 problems" in [line["message"] for line in logs]
