from contextlib import closing
from pathlib import Path

from flowforge.kit.database.commits import SqliteCommits
from flowforge.kit.database.connect import connect_sqlite


def test_a_commit_of_anybody_changes_the_version_and_nothing_else_does(tmp_path: Path):
    path = tmp_path / "any.db"
    with closing(connect_sqlite(path)) as writer, closing(SqliteCommits(path)) as commits:
        before = commits.read_version()
        writer.execute("CREATE TABLE things (id INTEGER)")
        made = commits.read_version()
        assert made != before
        writer.execute("SELECT * FROM things").fetchall()
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO things VALUES (1)")
        assert commits.read_version() == made
        writer.execute("ROLLBACK")
        assert commits.read_version() == made
        writer.execute("INSERT INTO things VALUES (2)")
        assert commits.read_version() != made
