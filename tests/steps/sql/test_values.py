"""Values go in and come out exactly."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.steps.sql.conftest import Desk, make_places, only
from tests.support.attempts import Attempts
from tests.support.databases import Kind, open_database
from tests.support.network import World

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonValue
from flowforge.operations import FatalError
from flowforge.steps.sql.query import query

SELECTS = {
    "sqlite": "SELECT :t AS t, :i AS i, :f AS f, :b AS b, :n AS n",
    "postgres": "SELECT :t::text AS t, :i::int8 AS i, :f::float8 AS f, :b::bool AS b, :n AS n",
    "mysql": "SELECT :t AS t, :i AS i, :f AS f, :b AS b, :n AS n",
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
ROWS = st.fixed_dictionaries(
    {
        "t": TEXTS,
        "i": st.integers(INTEGER_MIN, INTEGER_MAX),
        "f": st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
        "b": st.booleans(),
        "n": st.none(),
    }
)


@pytest.mark.slow(120)
@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mysql"])
async def test_a_value_comes_back_as_it_went_in(kind: Kind, tmp_path: Path):
    client = World().make_client(["127.0.0.1"])
    attempts = Attempts(make_places(tmp_path, client))
    seen: list[dict[str, JsonValue]] = []

    @given(ROWS)
    @settings(
        max_examples=200,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        database=None,
    )
    def gather(row: dict[str, JsonValue]) -> None:
        seen.append(row)

    gather()
    one = SELECTS[kind]
    parameters: list[JsonValue] = []
    if kind == "sqlite":
        one = "SELECT ? AS t, ? AS i, ? AS f, ? AS b, ? AS n"
    else:
        one = one.replace(":t", "?", 1).replace(" :i", " ?").replace(" :f", " ?").replace(" :b", " ?").replace(" :n", " ?")
    for row in seen:
        parameters.extend(row[name] for name in "tifbn")
    async with open_database(kind) as database:
        limit = 30_000 // 5 if kind == "sqlite" else len(seen)
        seen = seen[:limit]
        found = await attempts.call(
            query,
            {
                "database": database.url,
                "statement": " UNION ALL ".join([one] * len(seen)),
                "parameters": parameters[: len(seen) * 5],
            },
        )
    await client.aclose()
    assert isinstance(found, dict)
    rows = found["rows"]
    assert isinstance(rows, list)
    assert len(rows) == len(seen)
    for came, went in zip(rows, seen, strict=True):
        assert isinstance(came, dict)
        assert came["t"] == went["t"]
        assert came["i"] == went["i"]
        assert isinstance(went["f"], float)
        assert came["f"] == went["f"]
        assert bool(came["b"]) is went["b"]
        assert came["n"] is None


HOSTILE = [
    "'; DROP TABLE notes; --",
    "Robert'); DROP TABLE notes;--",
    "\\'; DROP TABLE notes; -- ",
    "%s %(a)s %% %d",
    "${{ secrets.API }}",
    "{{ 7 * 7 }}",
    ":a ? $1 @a ?1",
    "$$; DROP TABLE notes; $$",
    '" OR ""="',
    "/* */ -- #",
    "\u2019 \uff07 ʼ ¿' 縗' \xbf\x27",
    "NULL",
    "a\r\nb\tc\x1a\x08",
    "🦊" * 10,
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_a12_a_value_is_never_a_part_of_the_statement(desk: Desk, hostile: str):
    size = " CHARACTER SET utf8mb4" if desk.database.kind == "mysql" else ""
    await desk.execute(f"CREATE TABLE notes (id INTEGER, body VARCHAR(200){size})")
    await desk.execute("INSERT INTO notes VALUES (1, :a)", {"a": hostile})
    await desk.batch({"statement": "INSERT INTO notes VALUES (?, ?)", "rows": [[2, hostile], [3, "plain"]]})
    assert await desk.rows("SELECT id, body FROM notes WHERE body = ? ORDER BY id", [hostile]) == [
        {"id": 1, "body": hostile},
        {"id": 2, "body": hostile},
    ]
    assert await desk.rows("SELECT id FROM notes WHERE body LIKE :a AND body <> :a", {"a": hostile.replace("%", "|")}) == []


async def test_a12_a_value_with_a_nul(desk: Desk):
    text = {"sqlite": "SELECT :a AS v", "mysql": "SELECT :a AS v", "postgres": "SELECT :a::text AS v"}[desk.database.kind]
    if desk.database.kind == "postgres":
        with pytest.raises(FatalError) as caught:
            await desk.value(text, {"a": "x\0y"})
        assert caught.value.code == "sql_parameters"
        assert ":a" in caught.value.message
    else:
        assert await desk.value(text, {"a": "x\0y"}) == "x\0y"


def test_a12_the_statement_takes_no_expression():
    assert query.literal_parameters == {"statement"}
    from flowforge.steps.sql.batch import batch
    from flowforge.steps.sql.execute import execute

    assert execute.literal_parameters == {"statement"}
    assert batch.literal_parameters == {"statements.statement"}


POSTGRES_VALUES: list[tuple[str, JsonValue, str]] = [
    ("42::int2", 42, "int2"),
    ("9223372036854775807::int8", INTEGER_MAX, "int8"),
    ("9223372036854775808", "9223372036854775808", "numeric"),
    ("1.10::numeric(10,2)", "1.10", "numeric"),
    ("'NaN'::numeric", "NaN", "numeric"),
    ("0.1::float8", 0.1, "float8"),
    ("'NaN'::float8", "NaN", "float8"),
    ("'-Infinity'::float4", "-Infinity", "float4"),
    ("true", True, "bool"),
    ("'x'::char(3)", "x  ", "bpchar"),
    ("timestamptz '2026-01-02 03:04:05.678+05'", "2026-01-01T22:04:05.678Z", "timestamptz"),
    ("timestamp '2026-01-02 03:04:05'", "2026-01-02T03:04:05", "timestamp"),
    ("timestamptz 'infinity'", "infinity", "timestamptz"),
    ("timestamptz '0044-03-15 00:00:00+00 BC'", "0044-03-15T00:00:00Z BC", "timestamptz"),
    ("timestamp '12026-01-02 03:04:05'", "12026-01-02T03:04:05", "timestamp"),
    ("date '2026-01-02'", "2026-01-02", "date"),
    ("time '03:04:05.5'", "03:04:05.5", "time"),
    ("timetz '03:04:05+02'", "03:04:05+02", "timetz"),
    ("interval '1 year 2 days 3.5 seconds'", "P1Y2DT3.5S", "interval"),
    ("'\\x00ff'::bytea", "AP8=", "bytea"),
    ("'5f1c3a4e-0000-4000-8000-000000000000'::uuid", "5f1c3a4e-0000-4000-8000-000000000000", "uuid"),
    (
        '\'{"a": [1, 2.5, null], "big": 12345678901234567890}\'::jsonb',
        {"a": [1, 2.5, None], "big": "12345678901234567890"},
        "jsonb",
    ),
    ("'[1e400]'::json", ["Infinity"], "json"),
    ("array[1, null, 3]", [1, None, 3], "int4[]"),
    ("array[[1, 2], [3, 4]]", [[1, 2], [3, 4]], "int4[]"),
    ("array['a,b', '\"', 'NULL']", ["a,b", '"', "NULL"], "text[]"),
    ("array['2026-01-02 00:00:00+00'::timestamptz]", ["2026-01-02T00:00:00Z"], "timestamptz[]"),
    ("'[1,5)'::int4range", "[1,5)", "int4range"),
    ("'10.0.0.1'::inet", "10.0.0.1", "inet"),
    ("'(1,2)'::point", "(1,2)", "point"),
    ("row(1, 'a')", "(1,a)", "record"),
    ("null::int", None, "int4"),
    ("12.34::money", "$12.34", "money"),
]


@only("postgres")
async def test_postgres_types(desk: Desk):
    selected = ", ".join(f"{text} AS c{index}" for index, (text, _, _) in enumerate(POSTGRES_VALUES))
    found = await desk.query(f"SELECT {selected}")
    assert found["rows"] == [{f"c{index}": value for index, (_, value, _) in enumerate(POSTGRES_VALUES)}]
    assert found["columns"] == [{"name": f"c{index}", "type": kind} for index, (_, _, kind) in enumerate(POSTGRES_VALUES)]


@only("postgres")
async def test_postgres_parameters_take_the_types_that_are_wanted(desk: Desk):
    assert await desk.rows("SELECT x FROM generate_series(1, ?) x WHERE x = ANY(?)", [9, [2, 5, 10_000_000_000]]) == [
        {"x": 2},
        {"x": 5},
    ]
    assert await desk.value(
        "SELECT ? = ANY(?::uuid[])", ["5f1c3a4e-0000-4000-8000-000000000000", ["5f1c3a4e-0000-4000-8000-000000000000"]]
    )
    assert await desk.value("SELECT :doc::jsonb -> 'a' ->> 1", {"doc": {"a": [1, "two"]}}) == "two"
    assert await desk.value("SELECT jsonb_array_length(:list::jsonb)", {"list": {"$json": [1, 2]}}) == 2
    assert await desk.value("SELECT :list::jsonb ->> 0", {"list": [{"a": 1}]}) == '{"a": 1}'
    assert await desk.value("SELECT '{\"k\": 1}'::jsonb ? :k", {"k": "k"}) is True
    assert await desk.value("SELECT '{\"k\": 1}'::jsonb ?? ?", ["k"]) is True
    assert await desk.value("SELECT coalesce(array_length(:none::int[], 1), 0)", {"none": []}) == 0
    assert await desk.value("SELECT (:floats::float8[])[1]", {"floats": [1, 2.5]}) == 1.0
    assert await desk.value("SELECT repeat('a%', ?)", [2]) == "a%a%"
    assert await desk.value("SELECT :day::date + :days", {"day": "2026-02-27", "days": 2}) == "2026-03-01"
    with pytest.raises(FatalError) as caught:
        await desk.value("SELECT :day::date", {"day": "2026-02-30"})
    assert caught.value.code == "sql_value"
    assert caught.value.details == {"sqlstate": "22008"}


@only("postgres")
async def test_postgres_json_that_is_no_json_here(desk: Desk):
    with pytest.raises(FatalError) as caught:
        await desk.query("SELECT '\"\\ud800\"'::json AS broken")
    assert caught.value.code == "value_unsupported"
    assert "'broken'" in caught.value.message


MYSQL_VALUES: list[tuple[str, JsonValue, str]] = [
    ("t_tiny", -5, "tinyint"),
    ("t_big", "18446744073709551615", "bigint"),
    ("t_decimal", "1.10", "decimal"),
    ("t_double", 0.1, "double"),
    ("t_bit", 5, "bit"),
    ("t_date", "2026-01-02", "date"),
    ("t_zero", "0000-00-00", "date"),
    ("t_time", "-838:59:59", "time"),
    ("t_datetime", "2026-01-02T03:04:05.500000", "datetime"),
    ("t_stamp", "2026-01-02T03:04:05Z", "timestamp"),
    ("t_year", 2026, "year"),
    ("t_blob", "AP8=", "blob"),
    ("t_binary", "AQI=", "varbinary"),
    ("t_enum", "b", "char"),
    ("t_null", None, "int"),
    ("t_text", "naïve 🦊", "text"),
]
MYSQL_TABLE = """
CREATE TABLE kinds (t_tiny TINYINT, t_big BIGINT UNSIGNED, t_decimal DECIMAL(10,2), t_double DOUBLE, t_bit BIT(4), t_date DATE, t_zero DATE,
t_time TIME, t_datetime DATETIME(6), t_stamp TIMESTAMP NULL, t_year YEAR, t_blob BLOB, t_binary VARBINARY(9), t_enum ENUM('a', 'b'),
t_null INT, t_text TEXT CHARACTER SET utf8mb4)
"""


@only("mysql")
async def test_mysql_types(desk: Desk):
    await desk.execute(MYSQL_TABLE)
    marks = ", ".join("?" * len(MYSQL_VALUES))
    values: list[JsonValue] = [
        *(-5, "18446744073709551615", "1.10", 0.1, 5, "2026-01-02", "0000-00-00", "-838:59:59", "2026-01-02 03:04:05.5"),
        *("2026-01-02 03:04:05", 2026, {"$base64": "AP8="}, {"$base64": "AQI="}, "b", None, "naïve 🦊"),
    ]
    await desk.execute(f"INSERT INTO kinds VALUES ({marks})", values)
    found = await desk.query("SELECT * FROM kinds")
    assert found["rows"] == [{name: value for name, value, _ in MYSQL_VALUES}]
    assert found["columns"] == [{"name": name, "type": kind} for name, _, kind in MYSQL_VALUES]
    with pytest.raises(FatalError) as caught:
        await desk.execute("INSERT INTO kinds (t_date) VALUES (?)", ["2026-02-30"])
    assert caught.value.code == "sql_value"
    assert caught.value.details == {"errno": 1292}


@only("sqlite")
async def test_sqlite_types(desk: Desk):
    found = await desk.query("SELECT 1 AS i, 1.5 AS f, 'x' AS t, x'00ff' AS b, NULL AS n, 9e999 AS big, json('[1]') AS j")
    assert found["rows"] == [{"i": 1, "f": 1.5, "t": "x", "b": "AP8=", "n": None, "big": "Infinity", "j": "[1]"}]
    assert await desk.rows("SELECT value FROM json_each(?)", [[1, 2]]) == [{"value": 1}, {"value": 2}]


async def test_decimals_can_be_numbers(desk: Desk):
    if desk.database.kind == "sqlite":
        assert await desk.value("SELECT 1.25", decimals="number") == 1.25
        return
    assert await desk.value("SELECT CAST(1.25 AS DECIMAL(10,2))") == "1.25"
    assert await desk.value("SELECT CAST(1.25 AS DECIMAL(10,2))", decimals="number") == 1.25
    whole = await desk.value("SELECT CAST(7 AS DECIMAL(10,0))", decimals="number")
    assert whole == 7
    assert isinstance(whole, int)
