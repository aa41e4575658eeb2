"""What every table shares: one metadata with named constraints, one base of the models, the portable column types."""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Base(DeclarativeBase):
    """Root of the models of all domains."""

    metadata = metadata


BIG_KEY: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit primary key; SQLite makes it the row's id only under the name INTEGER."""
MILLISECONDS: Final = BigInteger()
"""A time since 1970 (UTC)."""
JSON_TEXT: Final = Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
"""JSON of any size, encoded and decoded by its owner."""
BYTES: Final = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
ID_LENGTH: Final = 64
NAME_LENGTH: Final = 200

schema_compatibility: Final = Table("schema_compatibility", metadata, Column("oldest", String(32), primary_key=True))
"""One row: the oldest revision whose code may work on the schema as it is (docs/decisions/expand-and-contract.md)."""
