"""The reader of statements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.operations import FatalError
from flowforge.steps.sql.statements import Dialect, Style, commits_by_itself, read_statement

SQLITE, POSTGRES, MYSQL = Dialect.SQLITE, Dialect.POSTGRESQL, Dialect.MYSQL


@pytest.mark.parametrize(
    ("dialect", "style", "text", "pieces", "slots"),
    [
        (SQLITE, Style.NAMED, "SELECT :a, ':b', \":c\", [:d], `:e` -- :f\n/* :g */", None, ("a",)),
        (SQLITE, Style.POSITIONAL, "SELECT ?, 'it''s ?', ?", None, (0, 1)),
        (SQLITE, Style.POSITIONAL, "SELECT ??", ("SELECT ", "", ""), (0, 1)),
        (POSTGRES, Style.NAMED, "SELECT :a::int, E'\\':b', $$ :c $$, $x$ :d $$ $x$, U&':e'", None, ("a",)),
        (POSTGRES, Style.NAMED, "SELECT f(x := :a), b[1:n], /* /* :c */ :d */ 1", None, ("a",)),
        (POSTGRES, Style.NAMED, "SELECT j ? 'k', j ?| :a, j ?& :b", None, ("a", "b")),
        (POSTGRES, Style.POSITIONAL, "SELECT j ?? 'k', ?, j ?| ?", ("SELECT j ? 'k', ", ", j ?| ", ""), (0, 1)),
        (POSTGRES, Style.NAMED, "SELECT 'a\\', :a", None, ("a",)),
        (MYSQL, Style.NAMED, "SELECT 'a\\' :b', \"\\\" :c\", `:d` # :e\n, :a", None, ("a",)),
        (MYSQL, Style.NAMED, "SELECT @x := :a, 5--1 -- :b", None, ("a",)),
        (MYSQL, Style.POSITIONAL, "SELECT '%s %', ? % 2", ("SELECT '%s %', ", " % 2"), (0,)),
        (SQLITE, Style.NAMED, "SELECT :größe, :a", None, ("größe", "a")),
        (SQLITE, Style.NONE, "SELECT 1;; -- end\n", ("SELECT 1",), ()),
    ],
)
def test_placeholders_are_found_where_they_are_code(
    dialect: Dialect, style: Style, text: str, pieces: tuple[str, ...] | None, slots: tuple[int | str, ...]
):
    statement = read_statement(text, dialect, style)
    assert statement.slots == slots
    if pieces is not None:
        assert statement.pieces == pieces


@pytest.mark.parametrize(
    ("dialect", "style", "text"),
    [
        *((dialect, Style.NONE, "SELECT 1; DROP TABLE x") for dialect in Dialect),
        *((dialect, Style.NONE, "/* never ends") for dialect in Dialect),
        *((dialect, Style.NONE, 'SELECT "open') for dialect in Dialect),
        *((dialect, Style.NAMED, "begin") for dialect in Dialect),
        *((dialect, Style.NONE, "/* x */ rollback to y") for dialect in Dialect),
        *((dialect, Style.NONE, "SELECT \0 1") for dialect in Dialect),
        (SQLITE, Style.NAMED, "SELECT ?"),
        (SQLITE, Style.POSITIONAL, "SELECT :a"),
        (SQLITE, Style.POSITIONAL, "SELECT ?1"),
        (SQLITE, Style.NAMED, "SELECT @a"),
        (SQLITE, Style.NAMED, "SELECT $a"),
        (POSTGRES, Style.POSITIONAL, "SELECT $1"),
        (POSTGRES, Style.NONE, "SELECT :a"),
        (POSTGRES, Style.NONE, "SELECT $$ open"),
        (POSTGRES, Style.NONE, "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END; DROP TABLE x"),
        (MYSQL, Style.NONE, "SELECT 1 /*! ; DROP TABLE x */"),
        (MYSQL, Style.NONE, "SELECT 1 /*M!100100 ; DROP TABLE x */"),
        (MYSQL, Style.NONE, "SET autocommit = 1"),
        (MYSQL, Style.NONE, "SET SESSION TRANSACTION READ WRITE"),
        (MYSQL, Style.NONE, "LOCK TABLES x WRITE"),
    ],
)
def test_what_is_not_one_plain_statement_is_refused(dialect: Dialect, style: Style, text: str):
    with pytest.raises(FatalError) as caught:
        read_statement(text, dialect, style)
    assert caught.value.code == "sql_statement"


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (SQLITE, "CREATE TRIGGER t AFTER INSERT ON x BEGIN DELETE FROM y; UPDATE z SET a = CASE WHEN 1 THEN 2 END; END;"),
        (MYSQL, "CREATE PROCEDURE p() BEGIN DECLARE a INT; SET a = 1; END"),
        (POSTGRES, "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;"),
        (POSTGRES, "CREATE OR REPLACE FUNCTION f() RETURNS int AS $$ BEGIN; COMMIT; END $$ LANGUAGE plpgsql;"),
    ],
)
def test_the_body_of_a_routine_is_one_statement(dialect: Dialect, text: str):
    assert "".join(read_statement(text, dialect, Style.NONE).pieces) == (text.rstrip(";") if dialect is POSTGRES else text)


def test_what_mysql_commits_by_itself():
    def commits(text: str) -> bool:
        return commits_by_itself(read_statement(text, MYSQL, Style.NONE))

    assert [
        commits(text) for text in ("CREATE TABLE x (a INT)", "truncate x", "CREATE TEMPORARY TABLE x (a INT)", "SELECT 1")
    ] == [
        True,
        True,
        False,
        False,
    ]


@given(st.text(max_size=40).map(lambda text: text.replace("\0", "")), st.sampled_from(Dialect))
def test_a_text_in_quotes_never_holds_a_placeholder_or_an_end(text: str, dialect: Dialect):
    quoted = text.replace("\\", "\\\\" if dialect is MYSQL else "\\").replace("'", "''")
    statement = read_statement(f"SELECT '{quoted}', :a", dialect, Style.NAMED)
    assert statement.pieces == (f"SELECT '{quoted}', ", "")


@given(st.text(alphabet="'\"`$?:;-/*[]#\\ aE\n@", max_size=30), st.sampled_from(Dialect), st.sampled_from(Style))
def test_any_text_is_read_or_refused(text: str, dialect: Dialect, style: Style):
    codes: list[str] = []
    pieces, slots = 1, 0
    try:
        statement = read_statement(text, dialect, style)
        pieces, slots = len(statement.pieces), len(statement.slots)
    except FatalError as error:
        codes.append(error.code)
    assert pieces == slots + 1
    assert set(codes) <= {"sql_statement"}
