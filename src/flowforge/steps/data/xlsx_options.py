"""How a sheet of a workbook is read and written."""

from typing import Literal

from pydantic import Field

from flowforge.operations import StrictModel


class XlsxOptions(StrictModel):
    """Which sheet of an Excel workbook, and what its cells mean."""

    sheet: str | int = Field(
        default=0,
        description="The sheet's name, or its number from 0. In writing, the name of the one sheet (`Sheet1` for a number).",
    )
    header: bool = Field(
        default=True,
        description="Whether the first row names the columns: rows are then objects. Without, and without `columns`, lists.",
    )
    columns: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=16_384,
        description="Names of the columns: for a sheet without header; in writing, which columns, and in what order.",
    )
    timezone: str = Field(
        default="UTC",
        max_length=64,
        description="The time zone that dates with a time are in, such as `Europe/Berlin`; a sheet does not say it.",
    )
    dates: list[str] = Field(
        default_factory=list[str],
        max_length=1_000,
        description="In writing: columns whose RFC 3339 texts become dates of Excel; what is none there is an error.",
    )
    formulas: Literal["neutralise", "live"] = Field(
        default="neutralise",
        description="In writing: `neutralise` makes every text a text, also `=1+1`; `live` makes texts that begin with = formulas.",
    )
