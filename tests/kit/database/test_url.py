from pathlib import Path

import pytest

from flowforge.kit.database.url import DatabaseKind, DatabaseUrl, DatabaseUrlError, name_sqlite, parse_database_url


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres"])
def test_postgres_is_read(scheme: str):
    url = parse_database_url(f"{scheme}://ann:p%40ss%2Fw@db.example:6432/flow%20forge?sslmode=verify-full&sslrootcert=/ca.pem")
    assert url == DatabaseUrl(
        DatabaseKind.POSTGRES,
        host="db.example",
        port=6432,
        user="ann",
        password="p@ss/w",
        name="flow forge",
        options=(("sslmode", "verify-full"), ("sslrootcert", "/ca.pem")),
    )
    assert url.is_server


@pytest.mark.parametrize("scheme", ["mysql+aiomysql", "mysql+pymysql", "mysql", "mariadb", "mariadb+aiomysql", "mariadb+pymysql"])
def test_mysql_and_mariadb_are_read(scheme: str):
    url = parse_database_url(f"{scheme}://ann@[::1]/flowforge?ssl_mode=VERIFY_CA")
    assert url == DatabaseUrl(
        DatabaseKind.MYSQL, host="::1", port=3306, user="ann", name="flowforge", options=(("ssl_mode", "VERIFY_CA"),)
    )
    assert url.shown == "mysql://ann@[::1]:3306/flowforge"


def test_sqlite_is_read():
    assert parse_database_url("sqlite:////var/lib/flow.db") == name_sqlite(Path("/var/lib/flow.db"))
    assert parse_database_url("sqlite+aiosqlite:///flow.db") == name_sqlite(Path("flow.db"))
    assert not name_sqlite(Path("flow.db")).is_server
    assert name_sqlite(Path("flow.db")).shown == "flow.db"


@pytest.mark.parametrize(
    ("text", "socket"),
    [
        ("postgresql://ann@/flow?host=/run/postgresql", "/run/postgresql"),
        ("mysql://ann@/flow?unix_socket=/run/my.sock", "/run/my.sock"),
        ("mysql://ann@/flow?host=/run/mysqld", "/run/mysqld/mysqld.sock"),
    ],
)
def test_unix_socket_stands_in_the_place_of_a_host(text: str, socket: str):
    url = parse_database_url(text)
    assert (url.socket, url.host, url.place) == (socket, "", socket)
    assert socket in url.shown


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "begins with no database that FlowForge knows; write postgresql"),
        ("oracle://ann@h/n", "begins with no database that FlowForge knows"),
        ("postgresql+asyncpg://ann@h/n", "begins with no database that FlowForge knows"),
        ("postgresql://ann:s3cret@h:port/n", "host or port cannot be read; percent-encode"),
        ("postgresql://ann:s3cret@/n", "names no host"),
        ("postgresql://ann:s3cret@a,b/n", "names no host, or more than one"),
        ("mysql://h/n", "names no user"),
        ("mysql://ann:s3cret@h", "names no database"),
        ("mysql://ann:s3cret@h/n/m", "names no database"),
        ("mysql://ann:s3cret#@h/n", "holds a #; write it as %23"),
        ("mysql://ann:s3cret\n@h/n", "control character"),
        ("mysql://ann:s3cret@h/n?charset=latin1", r"option 'charset' is not known.*; known are ssl_ca"),
        ("postgresql://ann:s3cret@h/n?sslmode=maybe", "sslmode is one of allow, disable"),
        ("mysql://ann:s3cret@h/n?ssl_mode=maybe", "ssl_mode is one of disabled, required"),
        ("postgresql://ann:s3cret@h/n?host=other", "host is the path of a Unix socket"),
        ("sqlite://flow.db", "for SQLite it is sqlite:////folder/file.db"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_write(text: str, reason: str):
    with pytest.raises(DatabaseUrlError, match=rf"^DATABASE_URL cannot be used: .*{reason}") as caught:
        parse_database_url(text)
    assert "s3cret" not in caught.value.message


def test_password_is_never_shown():
    url = parse_database_url("postgresql://ann:s3cret@h/n")
    assert "s3cret" not in f"{url!r} {url} {url.shown} {url.place}"
