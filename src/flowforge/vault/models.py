"""The tables `secrets` and `variables`."""

from sqlalchemy import Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import BYTES, ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base


class SecretRow(Base):
    """`sealed` is bound to this row (table, id, workspace, key), so it opens nowhere else. `hosts`: a JSON list."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("workspace_id", "name"), Index(None, "key_id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    key_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    sealed: Mapped[bytes] = mapped_column(BYTES)
    hosts: Mapped[str] = mapped_column(JSON_TEXT)
    version: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)


class VariableRow(Base):
    """`value`: JSON."""

    __tablename__ = "variables"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    value: Mapped[str] = mapped_column(JSON_TEXT)
    version: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
