"""The values for a statement's placeholders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from flowforge.kit.border import encode
from flowforge.kit.objects import FILE_KEY
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.steps.encoded import parse_base64
from flowforge.steps.sql.statements import Dialect, Slot, Statement

Scalar = None | bool | int | float | str | bytes
BoundValue = Scalar | list[Scalar]
"""What a driver gets; a list becomes an array, in PostgreSQL only."""

ReadFile = Callable[[JsonObject, str], bytes]
"""The bytes of a file value; gets the value and the name of the parameter, for its errors."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement with one set of values, in the order of its placeholders."""

    statement: Statement
    values: tuple[BoundValue, ...]


def bind(statement: Statement, parameters: JsonValue, dialect: Dialect, read_file: ReadFile) -> Bound:
    """Finds each placeholder's value. Names that no placeholder has are passed over.

    Raises:
        FatalError: `sql_parameters`: a value is missing or cannot be handed to the database; as `read_file`.
    """
    values: list[BoundValue] = []
    if isinstance(parameters, list) and len(parameters) != len(statement.slots):
        raise _refuse(f"The statement has {len(statement.slots)} placeholders, and {len(parameters)} parameters are given")
    for slot in statement.slots:
        label = _name(slot)
        value = _find(parameters, slot)
        try:
            values.append(_convert(value, label, dialect, read_file))
        except ValueError as error:
            raise _refuse(f"The parameter {label} {error}") from None
    return Bound(statement, tuple(values))


def _name(slot: Slot) -> str:
    return str(slot + 1) if isinstance(slot, int) else f":{slot}"


def _find(parameters: JsonValue, slot: Slot) -> JsonValue:
    if isinstance(slot, int):
        return cast("Sequence[JsonValue]", parameters)[slot]
    named = cast("Mapping[str, JsonValue]", parameters)
    if slot not in named:
        known = ", ".join(sorted(named)[:20]) or "none"
        raise _refuse(f"The statement asks for :{slot}, which `parameters` does not hold; given are {known}")
    return named[slot]


def _convert(value: JsonValue, label: str, dialect: Dialect, read_file: ReadFile) -> BoundValue:
    if isinstance(value, dict):
        return _convert_object(value, label, dialect, read_file)
    if isinstance(value, list):
        return _convert_list(value, dialect)
    if isinstance(value, str):
        _check_text(value, dialect)
    return value


def _convert_object(value: JsonObject, label: str, dialect: Dialect, read_file: ReadFile) -> BoundValue:
    match value:
        case {"$json": inner} if len(value) == 1:
            return _write_json(inner, dialect)
        case {"$base64": str(text)} if len(value) == 1:
            try:
                return parse_base64(text)
            except ValueError as error:
                raise ValueError(f"is no base64 ({error})") from None
        case {"$base64": _} if len(value) == 1:
            raise ValueError("is no base64; give it as text")
        case _ if len(value) == 1 and FILE_KEY in value:
            return read_file(value, label)
        case _:
            return _write_json(value, dialect)


def _convert_list(values: list[JsonValue], dialect: Dialect) -> BoundValue:
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    if dialect is Dialect.POSTGRESQL and len(kinds) <= 1 and kinds.isdisjoint({list, dict}):
        for value in values:
            if isinstance(value, str):
                _check_text(value, dialect)
        has_fraction = any(isinstance(value, float) for value in values)
        return [float(value) if has_fraction and type(value) is int else cast("Scalar", value) for value in values]
    return _write_json(values, dialect)


def _write_json(value: JsonValue, dialect: Dialect) -> str:
    text = encode(value).decode()
    if dialect is Dialect.POSTGRESQL and r"\u0000" in text:
        raise ValueError("holds a NUL character, which PostgreSQL cannot store; send it as {$base64: …} or without")
    return text


def _check_text(text: str, dialect: Dialect) -> None:
    if dialect is Dialect.POSTGRESQL and "\0" in text:
        raise ValueError("holds a NUL character, which PostgreSQL cannot store; send it as {$base64: …} or without")


def _refuse(message: str) -> FatalError:
    return FatalError(f"{message}.", code="sql_parameters")
