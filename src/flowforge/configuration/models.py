"""The tables `runtime_settings` and `feature_flags`, of the whole installation."""

from sqlalchemy import Boolean, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base


class SettingRow(Base):
    """A setting that differs from its default. `value`: JSON."""

    __tablename__ = "runtime_settings"

    name: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    value: Mapped[str] = mapped_column(JSON_TEXT)
    etag: Mapped[str] = mapped_column(String(ID_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))


class FlagRow(Base):
    """`workspaces`: a JSON list of ids; empty: the flag holds in all."""

    __tablename__ = "feature_flags"

    name: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    enabled: Mapped[bool] = mapped_column(Boolean)
    description: Mapped[str] = mapped_column(Text)
    workspaces: Mapped[str] = mapped_column(JSON_TEXT)
    etag: Mapped[str] = mapped_column(String(ID_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
