"""Databases of a cluster under test: a template with this version's tables, and a copy of it for each test, in 50 ms."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, inspect, text
from tests.support.databases import MYSQL_PORT, answers, find_postgres_port
from tests.support.history import driver_url

from flowforge.kit.database.guards import set_guards

ServerKind = Literal["postgres", "mysql"]


class Templates:
    """Makes and drops databases on one server, whose administrator needs no password. `close` drops what is left."""

    def __init__(self, kind: ServerKind, port: int, options: str = "") -> None:
        """`options`: of CREATE DATABASE, for the copies."""
        self.kind: ServerKind = kind
        self.port = port
        self._options = options
        self._template: str | None = None
        self._script: list[str] = []
        """What makes a copy on MariaDB."""
        self._made: set[str] = set()

    def url(self, name: str, port: int | None = None) -> str:
        """As a process is told of it; `port`: of a proxy before the server."""
        place = f"127.0.0.1:{port or self.port}/{name}"
        return f"postgresql+psycopg://postgres@{place}" if self.kind == "postgres" else f"mariadb+aiomysql://root@{place}"

    def clone(self) -> str:
        """A new database with empty tables; its name."""
        template = self._template or self._make_template()
        if self.kind == "postgres":
            return self._create(f"TEMPLATE {template} {self._options}")
        self._script = self._script or self._write_script(template)
        name = self._create("CHARACTER SET utf8mb4")
        with self._connect(name) as target:
            for statement in self._script:
                target.exec_driver_sql(statement)
            set_guards(target)
        return name

    def _write_script(self, template: str) -> list[str]:
        script = ["SET foreign_key_checks = 0"]
        with self._connect(template) as source:
            for table in inspect(source).get_table_names():
                script.append(source.execute(text(f"SHOW CREATE TABLE `{table}`")).one()[1].replace("%", "%%"))
                if source.execute(text(f"SELECT EXISTS (SELECT 1 FROM `{table}`)")).scalar():
                    script.append(f"INSERT INTO `{table}` SELECT * FROM `{template}`.`{table}`")
        return script

    def _make_template(self) -> str:
        from flowforge.kit.database.schema import upgrade_database
        from flowforge.kit.database.url import parse_database_url

        self._template = self._create("" if self.kind == "postgres" else "CHARACTER SET utf8mb4")
        upgrade_database(parse_database_url(self.url(self._template)))
        return self._template

    def _create(self, options: str) -> str:
        name = f"flowforge_{os.getpid()}_{uuid4().hex[:12]}"
        self._administer(f"CREATE DATABASE {name} {options}")
        self._made.add(name)
        return name

    def drop(self, name: str) -> None:
        """Drops a database, if it is still there."""
        if name in self._made:
            self._administer(f"DROP DATABASE {name}{' WITH (FORCE)' if self.kind == 'postgres' else ''}")
            self._made.discard(name)

    def close(self) -> None:
        for name in list(self._made):
            self.drop(name)

    def _administer(self, statement: str) -> None:
        with self._connect("postgres" if self.kind == "postgres" else "mysql") as connection:
            connection.execute(text(statement))

    @contextmanager
    def _connect(self, name: str) -> Generator[Any]:
        engine = create_engine(driver_url(self.url(name)), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def open_shared(kind: ServerKind) -> Templates:
    """On the machine's server; where there is no MariaDB the test is skipped with that reason."""
    if kind == "postgres":
        return Templates(kind, find_postgres_port())
    if not answers(MYSQL_PORT):
        pytest.skip("there is no MariaDB or MySQL on port 3306")
    return Templates(kind, MYSQL_PORT)
